"""The promises of tokenizer training: which vocabulary comes of which text."""

import pytest
import sentencepiece
import tensorflow as tf
from pydantic import ValidationError
from tfx.types import artifact_utils, standard_artifacts

from seq2seq_tfx.components.artifacts import TokenizerModel
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.tokenizer_trainer import (
    Executor,
    SideConfig,
    TokenizerConfig,
    train_tokenizer,
    vocabulary,
)

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
TEXT = [
    "the quick brown fox jumps over the lazy dog",
    "Ünïcode wörds und 字 stand here, too",
    "the dog sleeps while the fox jumps again and again",
    "quicker brown foxes jumped over lazier dogs",
] * 5
SIZED = [("character", 20), ("word", 10), ("unigram", 45), ("bpe", 60)]
KINDS = [("character", None), ("word", None), *SIZED]


def learn(kind="character", size=None, text=TEXT, lowercase=False):
    side = SideConfig(kind=kind, vocabulary_size=size)
    return train_tokenizer(iter(text), side, lowercase)


@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_the_special_tokens_come_first_and_once(kind, size):
    tokens = vocabulary(learn(kind, size))
    assert tokens[:4] == SPECIAL
    assert len(set(tokens)) == len(tokens)
    assert not set(tokens[4:]) & set(SPECIAL)


def test_without_a_size_every_character_is_kept():
    # SentencePiece writes a space as U+2581.
    assert set(vocabulary(learn())[4:]) == set("".join(TEXT).replace(" ", "\u2581"))


def test_a_long_sentence_is_learned_from_as_any():
    assert "ж" in vocabulary(learn(text=[*TEXT, "ж " + "abc " * 20_000]))
    with pytest.raises(PipelineError, match="piece is too long"):
        learn("word", text=[*TEXT, "x" * 10_000])


def test_a_sign_that_sentencepiece_has_for_itself_costs_no_sentence():
    tokens = vocabulary(learn(text=[*TEXT, "\u2585ж\u2585"]))
    assert "ж" in tokens and "\u2585" not in tokens


def test_without_a_size_every_word_is_kept():
    words = {f"\u2581{word}" for line in TEXT for word in line.split()}
    assert set(vocabulary(learn("word"))[4:]) == words


def test_many_words_without_a_size_are_all_kept():
    text = [f"w{i} x{i}" for i in range(10_000)]
    assert len(vocabulary(learn("word", text=text))) == 20_004


@pytest.mark.parametrize(("kind", "size"), SIZED)
def test_a_size_is_respected(kind, size):
    assert len(vocabulary(learn(kind, size))) == size


@pytest.mark.parametrize("kind", ["character", "word", "unigram", "bpe"])
def test_a_size_is_a_limit_not_a_demand(kind):
    assert len(vocabulary(learn(kind, 5000))) < 5000


def test_a_sized_vocabulary_keeps_the_most_frequent():
    text = [" ".join(f"w{j}" for j in range(i)) for i in range(1, 30)]  # w0 in all, w28 in one
    assert vocabulary(learn("word", 9, text))[4:] == [f"\u2581w{i}" for i in range(5)]
    letters = [line.replace("w", "").replace(" ", "") for line in text[:10]]
    assert vocabulary(learn("character", 9, letters))[4:] == list("01234")


def test_character_tokenizers_add_nothing_and_give_text_back():
    pieces = sentencepiece.SentencePieceProcessor(model_proto=learn())
    assert pieces.encode("fox dog", out_type=str) == list("fox\u2581dog")
    assert pieces.decode(pieces.encode("the lazy dog, 字")) == "the lazy dog, 字"


def test_lowercase_folds_what_is_read_and_learned():
    tokens = vocabulary(learn("word", text=["Hello HELLO ÜBER über"], lowercase=True))
    assert set(tokens[4:]) == {"\u2581hello", "\u2581über"}
    assert "\u2581Hello" in vocabulary(learn("word", text=["Hello HELLO"]))


CHANGED = ["你好\uff0c世界\uff01\uff08测试\uff09", "می\u200cروم", "… ½ x² ℃"]


@pytest.mark.parametrize(("kind", "size"), [("character", None), ("word", None), ("unigram", 60)])
def test_without_normalization_text_is_given_back_as_it_is(kind, size):
    side = SideConfig(kind=kind, vocabulary_size=size, normalization="none")
    pieces = sentencepiece.SentencePieceProcessor(
        model_proto=train_tokenizer(iter(CHANGED * 20), side, False)
    )
    assert [pieces.decode(pieces.encode(text)) for text in CHANGED] == CHANGED
    normal = sentencepiece.SentencePieceProcessor(model_proto=learn(kind, size, CHANGED * 20))
    assert [normal.decode(normal.encode(text)) for text in CHANGED] == [
        "你好,世界!(测试)",
        "می روم",
        "... 1\u20442 x2 °C",
    ]


def test_case_is_folded_with_nfkc_alone():
    plain = SideConfig(kind="word", normalization="none")
    with pytest.raises(ValidationError, match="normalization: nfkc on both sides"):
        TokenizerConfig(target=plain, lowercase=True)
    assert TokenizerConfig(target=plain).source.normalization == "nfkc"


@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_the_same_text_gives_the_same_model(kind, size):
    assert learn(kind, size) == learn(kind, size)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_size_too_small_for_the_characters_is_an_error_that_says_so(kind):
    with pytest.raises(PipelineError, match=f"cannot learn a '{kind}' vocabulary of 8 tokens"):
        learn(kind, 8)


@pytest.mark.parametrize("text", [[], [""], [" ", "\u3000"]], ids=["none", "empty", "blank"])
@pytest.mark.parametrize(("kind", "size"), [("character", None), ("word", None), ("unigram", 60)])
def test_no_text_is_an_error_that_says_so(kind, size, text):
    with pytest.raises(PipelineError, match=r"^tokenizer: SentencePiece cannot learn"):
        learn(kind, size, text)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_subwords_need_a_size(kind):
    with pytest.raises(ValidationError, match=f"expected vocabulary_size for kind '{kind}'"):
        SideConfig(kind=kind)


def test_shared_sides_must_agree():
    word = SideConfig(kind="word")
    with pytest.raises(ValidationError, match="expected source and target to be equal"):
        TokenizerConfig(shared=True, source=word)
    assert TokenizerConfig(shared=True, source=word, target=word).shared


PAIRS = {"train": [("ab", "xy"), ("bc", "yz")], "validation": [("Q", "Q")], "test": [("R", "R")]}


def run_executor(folder, **config):
    """The vocabularies of both sides that the executor writes for `PAIRS`."""
    examples, tokenizer = standard_artifacts.Examples(), TokenizerModel()
    examples.uri, tokenizer.uri = str(folder / "examples"), str(folder / "tokenizer")
    examples.split_names = artifact_utils.encode_split_names(list(PAIRS))
    (folder / "tokenizer").mkdir()
    for split, pairs in PAIRS.items():
        (folder / f"examples/Split-{split}").mkdir(parents=True)
        path = folder / f"examples/Split-{split}/data_tfrecord-00000-of-00001.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for pair in pairs:
                example = tf.train.Example()
                for name, text in zip(("source", "target"), pair, strict=True):
                    example.features.feature[name].bytes_list.value.append(text.encode())
                writer.write(example.SerializeToString())
    side = SideConfig(kind="character")
    settings = TokenizerConfig(source=side, target=side, **config).model_dump_json()
    Executor().Do(
        {"examples": [examples]}, {"tokenizer": [tokenizer]}, {"tokenizer_config": settings}
    )
    for name in ("source", "target"):
        model = (folder / f"tokenizer/{name}.model").read_bytes()
        told = (folder / f"tokenizer/{name}.model.vocabulary.txt").read_text("utf-8")
        assert told == "".join(f"{token}\n" for token in vocabulary(model))
        yield set(vocabulary(model)[4:])


def test_each_side_is_learned_from_its_own_text_of_the_train_split(tmp_path):
    assert list(run_executor(tmp_path)) == [set("abc"), set("xyz")]


def test_a_shared_tokenizer_is_learned_from_both_sides(tmp_path):
    assert list(run_executor(tmp_path, shared=True)) == [set("abcxyz")] * 2


def test_no_more_sentences_are_read_than_allowed(tmp_path):
    assert list(run_executor(tmp_path, max_sentences=1)) == [set("ab"), set("xy")]
