"""Examples are written as TensorFlow writes them."""

import pytest
import tensorflow as tf

from seq2seq_tfx.components.example_files import encode_example, write_tfrecord

LENGTHS = (0, 1, 127, 128, 300, 20_000)


@pytest.mark.parametrize("length", LENGTHS)
def test_an_example_has_the_bytes_that_tensorflow_gives_it(length):
    texts = {"source": ["ä" * length], "target": ["x"], "references": ["x", "", "y" * length]}
    texts["a" * 130] = []
    example = tf.train.Example()
    for name, values in texts.items():
        example.features.feature[name].bytes_list.value.extend(v.encode() for v in values)
    assert encode_example(texts) == example.SerializeToString(deterministic=True)


def test_a_file_is_read_by_tensorflow(tmp_path):
    records = [b"x" * length for length in LENGTHS] * 500
    write_tfrecord(str(tmp_path / "a.gz"), records)
    read = tf.data.TFRecordDataset(str(tmp_path / "a.gz"), "GZIP").as_numpy_iterator()
    assert list(read) == records
