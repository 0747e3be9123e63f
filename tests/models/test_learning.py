"""What each system can learn, and what only some can: by training it."""

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.losses import TokenCrossEntropy
from seq2seq_tfx.models.model_config import ModelConfig, Preset
from seq2seq_tfx.models.search import Begun, greedy_search
from seq2seq_tfx.models.search_options import SearchConfig, options_for
from seq2seq_tfx.models.seq2seq import build_seq2seq

pytestmark = pytest.mark.slow

FIRST = len(features.SPECIAL_TOKENS)  # the id of the first word
BATCH = 128


def padded(rows, before=()):
    rows = [[*before, *row, features.EOS] for row in rows]
    longest = max(map(len, rows))
    return np.array([row + [features.PAD] * (longest - len(row)) for row in rows], "int32")


def fit(config, vocabulary, sources, targets, steps, rate=0.01):
    """Trains by teacher forcing, dropout and all."""
    keras.utils.set_random_seed(1)
    model = build_seq2seq(config, vocabulary, vocabulary)
    warm = steps // 8
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm, warmup_target=rate, warmup_steps=warm
    )
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=1.0)
    model.compile(optimizer, TokenCrossEntropy(), jit_compile=False)
    target = padded(targets, before=[features.BOS])
    inputs = {features.SOURCE_IDS: padded(sources), features.TARGET_IDS: target[:, :-1]}
    epochs = -(-steps * BATCH // len(sources))
    model.fit(inputs, target[:, 1:], batch_size=BATCH, epochs=epochs, verbose=0)
    return model


def share_right(model, sources, targets):
    """How many targets greedy search gets right to the last token."""
    ids, expected = padded(sources), padded(targets)
    length = expected.shape[1]
    config = SearchConfig(beam_size=1, max_length=length)
    encoded = model.encoder(ids, training=False)
    state, source = model.decoder.begin(encoded, length)
    options = options_for(config, ops.convert_to_tensor((ids != features.PAD).sum(axis=1)))
    begun = Begun(model.decoder.step, state, source, encoded.mask_BS)
    found = ops.convert_to_numpy(greedy_search(begun, options, length, False).ids_BNL)
    return (found[:, 0] == expected).all(axis=1).mean()


def words(seed, count, shortest, longest):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(shortest, longest + 1, count)
    return [tuple(generator.integers(FIRST, FIRST + 8, n).tolist()) for n in lengths]


def reversal(count, shortest, longest):
    """Training words, and others to be tested on."""
    train = words(1, 4096, shortest, longest)
    unseen = sorted(set(words(2, count, shortest, longest)) - set(train))
    return train, unseen


def learned_reversal(config, steps, shortest=2, longest=6, rate=0.01):
    train, unseen = reversal(400, shortest, longest)
    model = fit(config, FIRST + 8, train, [word[::-1] for word in train], steps, rate)
    assert len(unseen) >= 100
    return share_right(model, unseen, [word[::-1] for word in unseen])


SIZE = {"embedding": 32, "units": 64, "attention": 64, "readout": 64, "heads": 4}
LAYERS = {"gnmt2016": 3, "transformer2017": 2, "luong2015": 2, "sutskever2014": 2}


@pytest.mark.parametrize("name", Preset.__args__)
def test_every_preset_learns_to_reverse_words_it_never_saw(name):
    layers = LAYERS.get(name, 1)
    size = {**SIZE, "encoder_layers": layers, "decoder_layers": layers, "feed_forward": 128}
    config = ModelConfig(preset=name, size=size)
    slow = name in ("transformer2017", "gnmt2016")
    right = learned_reversal(
        config, steps=448 if slow else 320, rate=0.003 if name == "transformer2017" else 0.01
    )
    assert right >= 0.95


def test_attention_keeps_long_inputs_and_a_fixed_context_loses_them():
    """Bahdanau et al. (2015), figure 2, in small."""
    fixed, attending = (
        learned_reversal(ModelConfig(preset=name, size=SIZE), 512, longest=20)
        for name in ("cho2014", "default")
    )
    assert attending >= 0.9
    assert fixed <= attending - 0.2


def test_the_copy_head_writes_words_that_training_never_showed():
    vocabulary = FIRST + 10 + 200
    seen, unseen = np.split(np.arange(FIRST + 10, vocabulary), 2)

    def sentences(seed, count, rare):
        """Three to five common words, one of them replaced by a rare one."""
        generator = np.random.default_rng(seed)
        rows = []
        for _ in range(count):
            row = generator.integers(FIRST, FIRST + 10, generator.integers(3, 6))
            row[generator.integers(len(row))] = generator.choice(rare)
            rows.append(row.tolist())
        return rows

    train, test = sentences(1, 4096, seen), sentences(2, 200, unseen)
    plain, pointing = (
        fit(ModelConfig(size=SIZE, copy_head=copy_head, dropout=0.0), vocabulary, train, train, 384)
        for copy_head in (False, True)
    )
    # After the same steps the copy head knows the task, whatever the words.
    known = sentences(3, 100, seen)
    assert share_right(pointing, known, known) >= 0.9
    assert share_right(plain, known, known) < share_right(pointing, known, known)
    assert share_right(plain, test, test) == 0
    assert share_right(pointing, test, test) >= 0.9
