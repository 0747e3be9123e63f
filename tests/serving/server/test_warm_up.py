"""The warm-up requests that an export brings: what servers answer before clients come."""

import shutil

import pytest

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.server.servable import BrokenModel, Servable
from seq2seq_tfx.serving.warm_up import FILE, read_warm_up, write_warm_up


@pytest.mark.slow
def test_an_export_brings_requests_to_all_its_signatures_and_answers_them(exported, monkeypatch):
    requests = read_warm_up(str(exported.directory))
    rows = [dict(r.inputs).popitem()[1].tensor_shape.dim[0].size for r in requests]
    assert max(rows) == features.WARM_UP_ROWS  # which a deployment must be able to batch
    run, asked = Servable.run, []

    def told(self, name, inputs):
        asked.append((name, len(next(iter(inputs.values())))))
        return run(self, name, inputs)

    monkeypatch.setattr(Servable, "run", told)
    servable = Servable(1, exported.directory)
    assert {r.model_spec.signature_name for r in requests} == set(servable.signatures)
    servable.warm_up()
    servable.close()
    names = [r.model_spec.signature_name for r in requests]
    assert asked == list(zip(names, rows, strict=True))


def damage(content):
    yield content[:-10]
    yield content[:40] + b"\xff" * 8 + content[48:]
    yield b"\xff" * 200


@pytest.mark.parametrize("way", range(3))
def test_a_version_whose_warm_up_requests_are_damaged_is_refused(tmp_path, made, way):
    directory = shutil.copytree(made / "1", tmp_path / "1")
    write_warm_up(str(directory))
    servable = Servable(1, directory)
    servable.warm_up()
    (directory / FILE).write_bytes(list(damage((directory / FILE).read_bytes()))[way])
    with pytest.raises(BrokenModel, match="warm-up requests cannot be read"):
        servable.warm_up()
    servable.close()
