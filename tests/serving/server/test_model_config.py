"""TensorFlow Serving's model configuration, read for one model."""

from pathlib import Path

import pytest
from tensorflow_serving.config import model_server_config_pb2

from seq2seq_tfx.serving.server.errors import RequestError
from seq2seq_tfx.serving.server.model_config import ModelConfigError, read_file, read_request
from seq2seq_tfx.serving.server.versions import Policy

BASE = Path("/models/seq2seq")
MODEL = """model_config_list {{
  config {{ name: "{}" base_path: "/elsewhere" model_platform: "tensorflow" {} }}
}}"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "models.config"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_file(path, "seq2seq", BASE)

    return read


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", Policy()),
        ("model_version_policy { latest {} }", Policy(latest=1)),
        ("model_version_policy { latest { num_versions: 3 } }", Policy(latest=3)),
        ("model_version_policy { all {} }", Policy(latest=None)),
        (
            "model_version_policy { specific { versions: 4 versions: 2 } }",
            Policy(only=frozenset([2, 4])),
        ),
        ('version_labels { key: "stable" value: 7 }', Policy(labels={"stable": 7})),
    ],
)
def test_every_policy_of_upstream_is_read(read, policy, expected):
    assert read(MODEL.format("seq2seq", policy)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        b"\xff",
        MODEL.format("other", ""),
        MODEL.format("seq2seq", "no_such_field: 1"),
        MODEL.format("seq2seq", "model_version_policy { specific {} }"),
        "model_config_list { config { name: 'seq2seq' } config { name: 'second' } }",
    ],
)
def test_what_is_no_configuration_of_this_model_is_told_with_its_file(read, text, tmp_path):
    with pytest.raises(ModelConfigError, match=r"models\.config: "):
        read(text)


def test_a_folder_is_the_same_with_a_slash_behind_it():
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(
        name="seq2seq", base_path=f"{BASE}/", model_platform="tensorflow"
    )
    assert read_request(config, "seq2seq", BASE) == Policy()
    config.model_config_list.config[0].base_path = "/models"
    with pytest.raises(RequestError, match="base_path"):
        read_request(config, "seq2seq", BASE)


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        ({}, "model_platform"),
        ({"model_platform": "other"}, "model_platform"),
        ({"model_platform": "tensorflow", "base_path": ""}, "base_path"),
        ({"model_platform": "tensorflow"}, None),
        ({"model_type": "TENSORFLOW"}, None),
    ],
)
def test_what_upstream_asks_for_is_asked_for(platform, message):
    config = model_server_config_pb2.ModelServerConfig()
    model = {"name": "seq2seq", "base_path": str(BASE), **platform}
    config.model_config_list.config.add(**model)
    if message is None:
        assert read_request(config, "seq2seq", BASE) == Policy()
        return
    with pytest.raises(RequestError, match=message):
        read_request(config, "seq2seq", BASE)
