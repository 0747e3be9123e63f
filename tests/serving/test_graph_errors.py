"""What a graph refuses is told in its own words, however TensorFlow wraps them."""

import pytest

from seq2seq_tfx.serving.graph_errors import said_of_graph

WHERE = "\n\t [[{{node Assert_1/Assert}}]]"
PLACE = "Detected at node Assert_1/Assert defined at (most recent call last):\n"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (f"assertion failed: [a: expected b]{WHERE}", "a: expected b"),
        (f"Graph execution error:\n\nassertion failed: [a: expected b]{WHERE}", "a: expected b"),
        (
            f"Graph execution error:\n\n{PLACE}<stack traces unavailable>\n"
            f"assertion failed: [a: expected b]{WHERE} [Op:__inference_decode_1]",
            "a: expected b",
        ),
        (f"Graph execution error:\n\nno such\nfile{WHERE}", "no such file"),
        ("no such file", "no such file"),
    ],
)
def test_the_words_of_a_failed_graph_are_told_alone(message, told):
    assert said_of_graph(message) == told
