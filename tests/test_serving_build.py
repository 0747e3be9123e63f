"""What of building TensorFlow Serving needs no sources of its own."""

import sys

import pytest
from google.protobuf import descriptor_pool

from .scripts import script

build = script("scripts/tensorflow_serving/build")


def test_tensorflows_protos_come_after_those_that_they_need():
    pool = descriptor_pool.DescriptorPool()
    for file in build.descriptors().file:
        pool.Add(file)
    for name in ("tensorflow.MetaGraphDef", "tensorflow.Example", "tensorflow.ConfigProto"):
        assert pool.FindMessageTypeByName(name).fields


def test_a_header_brings_its_source_file_unless_it_stands_for_one_that_is_left_out(
    tmp_path, monkeypatch
):
    ours, theirs = tmp_path / "missing", tmp_path / "sources"
    files = {
        theirs / "main.cc": '#include "a.h"\n#include "lite.h"\n#include "elsewhere.h"\n',
        theirs / "a.h": "",
        theirs / "a.cc": '#include "a.h"\n#include "b.h"\n',
        theirs / "b.h": "",
        theirs / "lite.h": "",
        theirs / "lite.cc": "",
        theirs / "never.cc": "",
        ours / "lite.h": "",
    }
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(build, "MISSING", ours)
    monkeypatch.setattr(build, "ROOTS", ("main.cc",))
    assert build.source_files([ours, theirs]) == [theirs / "a.cc", theirs / "main.cc"]


def test_a_folder_that_is_no_checkout_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["build.py", f"--sources={tmp_path}", f"--to={tmp_path}/x"])
    with pytest.raises(SystemExit, match="expected a checkout of tensorflow/serving"):
        build.main()
    assert not (tmp_path / "x").exists()
