"""Which versions answer while others are pushed, broken, named and taken away."""

import asyncio
import shutil

import pytest

from seq2seq_tfx.serving.server.errors import RequestError
from seq2seq_tfx.serving.server.servable import Servable
from seq2seq_tfx.serving.server.version_folder import Content, versions_in
from seq2seq_tfx.serving.server.versions import Policy, State

from . import toys
from .asking_versions import ask, states


def test_only_numbers_that_hold_a_model_are_versions(base):
    for name in ("9", "10", "007", "-1", "1.5", "٣", "tmp", str(2**63)):
        (base / name).mkdir()
        (base / name / "saved_model.pb").write_bytes(b"")
    (base / "11").mkdir()
    (base / "12").write_bytes(b"")
    assert versions_in(base) == [10, 9]
    assert versions_in(base / "absent") == []


def test_a_new_version_takes_over_and_the_old_one_ends_after_its_requests(serving, base, exports):
    toys.push(exports[1], base, 1)

    async def test(versions):
        await versions.refresh()
        assert await ask(versions) == "v1"
        with versions.using() as held:
            toys.push(exports[2], base, 2)
            await versions.refresh()
            assert await ask(versions) == "v2"
            assert states(versions) == {2: "AVAILABLE", 1: "UNLOADING"}
            await asyncio.sleep(0.1)
            assert held.servable is not None  # whoever has it may go on
        await asyncio.sleep(0.2)
        assert states(versions) == {2: "AVAILABLE", 1: "END"}
        with pytest.raises(RequestError, match=r"Specific\(1\)"):
            await ask(versions, number=1)

    serving(test)


@pytest.mark.parametrize("damage", toys.DAMAGES, ids=lambda damage: damage.__name__)
def test_a_broken_version_is_refused_the_old_one_stays_and_a_mended_one_is_taken(
    serving, base, exports, damage
):
    toys.push(exports[1], base, 1)

    async def test(versions):
        await versions.refresh()
        damage(toys.push(exports[2], base, 2))
        for _ in range(2):
            await versions.refresh()
            assert states(versions) == {2: "END", 1: "AVAILABLE"}
            assert await ask(versions) == "v1"
        assert versions.known(2)[0].error
        shutil.rmtree(base / "2")
        toys.push(exports[2], base, 2)
        await versions.refresh()
        assert await ask(versions) == "v2"

    serving(test)


def test_a_model_that_answers_with_no_number_is_refused(serving, base, exports):
    toys.push(exports[1], base, 1)
    toys.save(base, 2, score=float("nan"))

    async def test(versions):
        await versions.refresh()
        assert await ask(versions) == "v1"
        assert "no number" in versions.known(2)[0].error

    serving(test)


def test_where_the_newest_is_broken_from_the_start_an_older_one_serves(serving, base, exports):
    toys.push(exports[1], base, 1)
    toys.garbage(toys.push(exports[2], base, 2))
    (base / "3" / "variables").mkdir(parents=True)  # killed before saved_model.pb was there

    async def test(versions):
        await versions.refresh(60)
        assert await ask(versions) == "v1"

    serving(test)


def test_a_version_is_left_alone_while_it_is_being_copied(serving, base, exports):
    toys.push(exports[1], base, 1)

    async def test(versions):
        await versions.refresh(60)
        directory = toys.push(exports[2], base, 2)
        whole = (directory / "saved_model.pb").read_bytes()
        (directory / "saved_model.pb").write_bytes(whole[:100])
        await versions.refresh()
        assert states(versions) == {2: "START", 1: "AVAILABLE"}
        (directory / "saved_model.pb").write_bytes(whole)
        await asyncio.sleep(0.7)
        await versions.refresh()
        assert states(versions) == {2: "AVAILABLE", 1: "UNLOADING"}

    serving(test, settle=0.6)


def test_what_is_pushed_away_last_stays(serving, base, exports):
    toys.push(exports[1], base, 1)

    async def test(versions):
        await versions.refresh()
        shutil.rmtree(base / "1")
        await versions.refresh()
        assert await ask(versions) == "v1"

    serving(test)


def test_labels_name_versions_that_answer_and_keep_them(serving, base, exports):
    for number in (1, 2, 3):
        toys.push(exports[number], base, number)

    async def test(versions):
        await versions.refresh()
        assert states(versions) == {3: "AVAILABLE"}
        await versions.reload(Policy(labels={"stable": 1, "canary": 3}))
        assert await ask(versions, label="stable") == "v1"
        assert await ask(versions, label="canary") == "v3"
        assert await ask(versions) == "v3"
        await versions.reload(Policy(labels={"stable": 3}))
        assert await ask(versions, label="stable") == "v3"
        with pytest.raises(RequestError, match="canary"):
            await ask(versions, label="canary")
        await asyncio.sleep(0.2)
        assert states(versions)[1] == "END"

    serving(test)


def test_a_label_of_a_version_that_does_not_answer_changes_no_label(serving, base, exports):
    toys.push(exports[1], base, 1)
    toys.garbage(toys.push(exports[2], base, 2))

    async def test(versions):
        await versions.refresh()
        await versions.reload(Policy(labels={"stable": 1}))
        for missing in (2, 77):
            with pytest.raises(RequestError) as refused:
                await versions.reload(Policy(labels={"stable": missing}))
            assert refused.value.code.name == "FAILED_PRECONDITION"
            assert await ask(versions, label="stable") == "v1"

    serving(test)


def test_a_refused_reload_changes_neither_labels_nor_versions(serving, base, exports):
    for number in (1, 2):
        toys.push(exports[number], base, number)

    async def test(versions):
        await versions.refresh()
        await versions.reload(Policy(only=frozenset([1]), labels={"stable": 1}))
        with pytest.raises(RequestError, match="canary"):
            await versions.reload(Policy(only=frozenset([2, 3]), labels={"stable": 2, "canary": 3}))
        await versions.refresh()
        await asyncio.sleep(0.2)
        assert await ask(versions, label="stable") == "v1"
        assert states(versions) == {2: "END", 1: "AVAILABLE"}

    serving(test)


def test_a_reload_that_nobody_waits_for_is_done_whole(serving, base, exports):
    for number in (1, 2, 3):
        toys.push(exports[number], base, number)

    async def test(versions):
        await versions.reload(Policy(latest=None))
        await versions.reload(Policy(only=frozenset([1, 2]), labels={"stable": 1, "canary": 2}))
        await asyncio.sleep(0.2)
        asked = asyncio.create_task(versions.reload(Policy(labels={"stable": 3})))
        while versions.known(3)[0].state is not State.LOADING:
            await asyncio.sleep(0)
        asked.cancel()
        await versions.refresh()  # which waits for what goes on
        assert asked.cancelled()
        assert await ask(versions, label="stable") == "v3"
        with pytest.raises(RequestError, match="canary"):
            await ask(versions, label="canary")

    serving(test)


def test_a_label_that_is_followed_moves_once_its_version_answers(serving, base, exports, caplog):
    toys.push(exports[1], base, 1)

    async def test(versions):
        await versions.refresh()
        for version in (1, 2):
            await versions.follow(Policy(only=frozenset([version]), labels={"stable": version}))
            for _ in range(2):
                await versions.refresh()
                assert await ask(versions, label="stable") == "v1"
        assert caplog.text.count("labels wait") == 1
        toys.push(exports[2], base, 2)
        await versions.refresh()
        assert await ask(versions, label="stable") == "v2"
        await versions.refresh()
        assert versions.available == [2]

    serving(test)


def test_a_version_whose_files_are_of_tomorrow_is_loaded_once_left_alone(
    serving, base, exports, monkeypatch
):
    toys.push(exports[1], base, 1)
    monkeypatch.setattr(Content, "is_settled", lambda self, seconds: False)

    async def test(versions):
        await versions.refresh()
        assert states(versions) == {1: "START"}
        await versions.refresh(60)
        assert await ask(versions) == "v1"

    serving(test, settle=0.2)


def test_a_version_whose_files_cannot_be_read_says_so(serving, base, exports):
    directory = toys.push(exports[1], base, 1)
    (directory / "assets.extra").mkdir()
    (directory / "assets.extra" / "gone").symlink_to("nowhere")

    async def test(versions):
        await versions.refresh(60)
        assert "cannot be read" in versions.known(1)[0].error

    serving(test)


def test_whatever_a_model_does_while_it_is_loaded_an_older_one_serves(
    serving, base, exports, monkeypatch
):
    for number in (1, 2):
        toys.push(exports[number], base, number)
    warm_up = Servable.warm_up

    def fails(self):
        if self.version == 2:
            raise MemoryError("no more")
        warm_up(self)

    monkeypatch.setattr(Servable, "warm_up", fails)

    async def test(versions):
        await versions.refresh()
        assert await ask(versions) == "v1"
        assert "no more" in versions.known(2)[0].error

    serving(test)


def test_a_version_that_was_unloaded_can_be_called_back(serving, base, exports):
    for number in (1, 2):
        toys.push(exports[number], base, number)

    async def test(versions):
        await versions.refresh()
        await versions.reload(Policy(only=frozenset([1])))
        assert await ask(versions) == "v1"
        await versions.reload(Policy(only=frozenset([2])))
        assert await ask(versions) == "v2"
        await versions.reload(Policy(latest=None))
        assert versions.available == [2, 1]

    serving(test)


def test_the_states_are_those_of_upstreams_protocol():
    from tensorflow_serving.apis import get_model_status_pb2

    named = get_model_status_pb2.ModelVersionStatus.State.items()
    assert {state.name: state.value for state in State}.items() <= dict(named).items()
