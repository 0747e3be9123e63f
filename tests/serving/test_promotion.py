"""Labels of pushed versions: what servers read, in one step, and back again."""

import os
import resource
import threading

import pytest
from click.testing import CliRunner
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from seq2seq_tfx.pipeline import cli
from seq2seq_tfx.serving.promotion import (
    CANARY,
    PromotionError,
    config_file,
    promote,
    read,
    roll_back,
    withdraw,
)
from seq2seq_tfx.serving.server import model_config
from seq2seq_tfx.serving.server.versions import Policy


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "serving" / "seq2seq"
    for version in (3, 5, 12):
        (folder / str(version)).mkdir(parents=True)
        (folder / str(version) / "saved_model.pb").write_bytes(b"x" * 1000)
    (folder / "13").mkdir()  # half pushed
    return folder


def test_what_is_written_is_upstreams_configuration_of_the_labelled_versions(base):
    promote(base, 5)
    promote(base, 12, CANARY)
    text = config_file(base).read_text()
    (model,) = text_format.Parse(
        text, model_server_config_pb2.ModelServerConfig()
    ).model_config_list.config
    assert (model.name, model.base_path) == ("seq2seq", str(base))
    assert model.model_platform == "tensorflow"
    assert list(model.model_version_policy.specific.versions) == [5, 12]
    assert dict(model.version_labels) == {"stable": 5, "canary": 12}
    policy = model_config.read_file(config_file(base), "seq2seq", base)
    assert policy == Policy(only=frozenset([5, 12]), labels={"stable": 5, "canary": 12})


def test_going_back_is_to_what_was_stable_before_and_can_be_undone(base):
    for version in (12, 3):
        promote(base, version)
    assert roll_back(base).labels == {"stable": 12}
    assert roll_back(base).labels == {"stable": 3}
    promote(base, 3)  # again: what was before stays
    assert roll_back(base).labels == {"stable": 12}


def test_a_canary_that_is_promoted_is_no_canary_any_more(base):
    promote(base, 5)
    promote(base, 12, CANARY)
    assert promote(base, 12).labels == {"stable": 12}
    assert roll_back(base).labels == {"stable": 5}


class Upstream:
    """What TensorFlow Serving makes of the file, when it looks: see test_model_server."""

    def __init__(self, base):
        self.base, self.loaded, self.labels, self.seen = base, set(), {}, []

    def look(self):
        text = config_file(self.base).read_text()
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        (model,) = config.model_config_list.config
        for label, number in model.version_labels.items():
            # `allow_version_labels_for_unavailable_models` allows a new label alone.
            if self.labels.get(label, number) != number and number not in self.loaded:
                raise PromotionError(f"FAILED_PRECONDITION: {label} at {number}")
        moved_from = {v for k, v in self.labels.items() if model.version_labels.get(k) != v}
        self.labels = dict(model.version_labels)
        self.loaded = set(model.model_version_policy.specific.versions)
        # A label and what it leaves are two steps, or some requests would find neither.
        assert moved_from <= self.loaded or self.seen == []
        self.seen.append((self.labels, self.loaded))

    def follow(self, labels, versions):
        self.look()
        assert (self.labels, self.loaded) == (dict(labels), set(versions))


def test_a_label_moves_once_a_server_that_runs_has_loaded_the_version(base):
    promote(base, 3)
    server = Upstream(base)
    server.look()
    promote(base, 5)
    with pytest.raises(PromotionError, match="FAILED_PRECONDITION: stable at 5"):
        server.look()
    roll_back(base)
    steps = [
        lambda: promote(base, 5, follow=server.follow),
        lambda: promote(base, 12, CANARY, follow=server.follow),
        lambda: promote(base, 3, CANARY, follow=server.follow),
        lambda: promote(base, 3, follow=server.follow),
        lambda: promote(base, 3, follow=server.follow),
        lambda: roll_back(base, follow=server.follow),
    ]
    for step in steps:
        promotion = step()
        assert server.labels == promotion.labels == read(base).labels
        assert server.loaded == {*promotion.labels.values()}
    assert server.labels == {"stable": 5}
    for state in (({"stable": 3}, {3, 5}), ({"stable": 5}, {3, 5}), ({"stable": 5}, {5})):
        assert state in server.seen


def refused(*_):
    raise PromotionError("refused")


def test_where_a_server_does_not_come_to_have_a_version_labels_stay(base):
    promote(base, 3)
    before = config_file(base).read_bytes()
    calls = iter([lambda *_: None, refused])
    with pytest.raises(PromotionError, match="refused"):
        promote(base, 5, follow=lambda *told: next(calls)(*told))
    assert config_file(base).read_bytes() == before and next(calls, None) is None


def test_where_servers_are_not_as_the_file_says_already_it_is_not_touched(base):
    promote(base, 3)
    before = config_file(base).read_bytes()
    with pytest.raises(PromotionError, match="refused"):
        promote(base, 5, follow=refused)
    assert config_file(base).read_bytes() == before


def test_once_servers_have_the_version_the_label_has_moved_whatever_comes(base):
    promote(base, 3)
    calls = iter([lambda *_: None, lambda *_: None, refused])
    with pytest.raises(PromotionError, match="refused"):
        promote(base, 5, follow=lambda *told: next(calls)(*told))
    server = Upstream(base)
    server.look()
    assert server.labels == {"stable": 5} and server.loaded == {3, 5}
    assert roll_back(base, follow=server.follow).labels == {"stable": 3}
    assert server.loaded == {3}


def test_a_label_is_taken_away(base):
    promote(base, 3)
    promote(base, 5, CANARY)
    for label in ("stable", "other"):
        with pytest.raises(PromotionError, match="found canary beside 'stable'"):
            withdraw(base, label)
    assert withdraw(base, CANARY).labels == read(base).labels == {"stable": 3}
    config_file(base).unlink()
    promote(base, 5, CANARY)
    withdraw(base, CANARY)
    assert not config_file(base).exists() and read(base).labels == {}


def test_where_it_is_served_is_told_once_and_stays_on_the_way_back(base):
    def written():
        text = config_file(base).read_text()
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        return config.model_config_list.config[0].base_path

    promote(base, 3, base_path="/models/x")
    promote(base, 5)
    assert written() == "/models/x"
    roll_back(base)
    assert written() == "/models/x"
    promote(base, 12, base_path="/models/y")
    assert written() == "/models/y"


@pytest.mark.parametrize("version", [4, 13])
def test_what_is_no_whole_version_is_refused_and_changes_nothing(base, version):
    promote(base, 5)
    before = config_file(base).read_bytes()
    with pytest.raises(PromotionError, match=rf"received {version}; found \[12, 5, 3\]"):
        promote(base, version)
    assert config_file(base).read_bytes() == before


def test_without_a_past_there_is_no_way_back(base):
    for _ in range(2):
        with pytest.raises(PromotionError, match="stable before"):
            roll_back(base)
        promote(base, 5)


def test_a_version_that_is_gone_is_not_gone_back_to(base):
    promote(base, 3)
    promote(base, 5)
    (base / "3" / "saved_model.pb").unlink()
    with pytest.raises(PromotionError, match="received 3"):
        roll_back(base)
    assert read(base).labels == {"stable": 5}


def test_a_reader_never_sees_half_a_file(base):
    promote(base, 3)
    stop, seen = threading.Event(), set()

    def look():
        while not stop.is_set():
            seen.add(read(base).labels["stable"])

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(50):
        promote(base, 5)
        promote(base, 3)
    stop.set()
    thread.join()
    assert seen <= {3, 5}
    assert sorted(os.listdir(base.parent)) == ["seq2seq", "seq2seq.config"]


def test_two_that_promote_at_once_lose_no_label(base):
    for _ in range(20):
        config_file(base).unlink(missing_ok=True)
        both = [
            threading.Thread(target=promote, args=(base, version, label))
            for version, label in ((3, "stable"), (5, "canary"))
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert read(base).labels == {"stable": 3, "canary": 5}


@pytest.mark.parametrize("label", ["", " ", "a/b", "a:b", "a b", "..", "%2f", "a\n"])
def test_a_label_that_no_path_can_name_is_refused(base, label):
    with pytest.raises(PromotionError, match="expected a label"):
        promote(base, 3, label)
    assert not config_file(base).exists()


def test_a_damaged_file_is_told_and_kept(base):
    config_file(base).write_text("model_config_list { garbage")
    with pytest.raises(PromotionError, match=r"seq2seq\.config: expected a ModelServerConfig"):
        promote(base, 5)
    assert config_file(base).read_text() == "model_config_list { garbage"


def test_the_command_shows_promotes_and_goes_back(base, tmp_path):
    def versions(*arguments):
        arguments = ["versions", *arguments, "--output", str(tmp_path)]
        return CliRunner().invoke(cli.main, arguments, catch_exceptions=False)

    assert "nothing is promoted" in versions("list").output
    assert "to version 5" in versions("promote", "5").output
    told = versions("promote", "12", "--label", "canary", "--base-path", "/models/x").output
    assert "to version 12" in told and "canary" in told
    assert 'base_path: "/models/x"' in config_file(base).read_text()
    result = versions("promote", "4")
    assert result.exit_code == 1 and "received 4" in result.output
    versions("promote", "3")
    assert "stable" in versions("rollback").output
    assert read(base).labels == {"stable": 5, "canary": 12}


def test_a_disk_that_takes_no_more_leaves_the_configuration_as_it_was(base):
    promote(base, 5)
    before = config_file(base).read_bytes(), sorted(base.parent.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # the kernel refuses every byte
    try:
        with pytest.raises(PromotionError, match="cannot be written"):
            promote(base, 12)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (config_file(base).read_bytes(), sorted(base.parent.iterdir())) == before
