"""SavedModels that load at once, and the ways in which a version can be broken."""

import shutil

import tensorflow as tf

from seq2seq_tfx.models import features

TEXT = tf.TensorSpec([None], tf.string, name=features.TEXT)
SLOW = "slow"  # texts that begin so take a while


class Toy(tf.Module):
    """Answers every source with its own name, and with how long it is as the score."""

    def __init__(self, name, rounds, score):
        super().__init__()
        self._name = name
        self._rounds = rounds
        # Also a weight, so that there is a file of them to damage.
        self.score = tf.Variable(tf.fill([5_000], float(score)))

    @tf.function(input_signature=[TEXT])
    def best(self, text):
        slow = tf.reduce_any(tf.strings.regex_full_match(text, f"{SLOW}.*"))
        work = tf.random.stateless_uniform([300, 300], [1, 2])
        rounds = tf.where(slow, self._rounds, 0)
        for _ in tf.range(rounds):
            work = tf.linalg.l2_normalize(work @ work)
        text = tf.strings.join([self._name, ":", text])
        score = self.score[0] + 0 * work[0, 0] + tf.cast(tf.strings.length(text), tf.float32)
        return {features.TEXT: text, features.SCORE: score, features.LOG_PROB: score}

    @tf.function(input_signature=[TEXT])
    def bytes_out(self, text):
        """Alone, and in base64 by its name."""
        return {"text_bytes": text}

    @tf.function(input_signature=[TEXT])
    def padded(self, text):
        """The characters of each text, as wide as the longest of the batch."""
        return {"characters": tf.strings.unicode_split(text, "UTF-8").to_tensor("")}


def save(base, version, name=None, rounds=0, score=0.0):
    """Exports a toy; it takes about `rounds` times 1 ms for a slow text."""
    toy = Toy(name or f"v{version}", rounds, score)
    directory = base / str(version)
    tf.saved_model.save(
        toy,
        str(directory),
        {
            features.SERVING_SIGNATURE: toy.best,
            features.NBEST_SIGNATURE: toy.best,
            "bytes": toy.bytes_out,
            "padded": toy.padded,
        },
    )
    return directory


def push(directory, base, version):
    """Copies a version as Pusher does: file by file, in place."""
    return shutil.copytree(directory, base / str(version))


def cut_short(directory):
    """As a full disk leaves it."""
    data = next((directory / "variables").glob("*.data*"))
    data.write_bytes(data.read_bytes()[:1000])


def flip_bits(directory):
    data = next((directory / "variables").glob("*.data*"))
    content = bytearray(data.read_bytes())
    content[200:210] = b"\x55" * 10
    data.write_bytes(content)


def without_weights(directory):
    shutil.rmtree(directory / "variables")


def garbage(directory):
    (directory / "saved_model.pb").write_bytes(b"\xff" * 1000)


def empty(directory):
    (directory / "saved_model.pb").write_bytes(b"")


DAMAGES = [cut_short, flip_bits, without_weights, garbage, empty]
