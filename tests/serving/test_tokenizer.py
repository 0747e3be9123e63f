"""The tokenizer in the graph against the sentencepiece library itself."""

import random
import unicodedata

import pytest
import sentencepiece
import tensorflow as tf

from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
from seq2seq_tfx.models import features
from seq2seq_tfx.serving.tokenizer import (
    SOURCE_MODEL,
    TARGET_MODEL,
    Tokenizer,
    load_tokenizers,
    source_ids,
    target_ids,
)

SEEDS = [
    "the quick brown fox jumps over the lazy dog",
    "Über große Flüsse führen schöne Brücken",
    "zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich",
    "Switch on the light in the kitchen, please!",
    "Schalte bitte das Licht in der Küche ein.",
    "我们 喜欢 学习 语言",
    "今天天气很好",
    "请打开厨房的灯",
    "AH0 B EY1 T",
    "№ 5 costs 3½ € — or “more”",
]
SIZES = {"character": None, "word": None, "unigram": 150, "bpe": 160}
SENTENCES = [
    *SEEDS,
    *(
        " ".join(random.Random(i).sample(SEEDS[i % 10].split(), len(SEEDS[i % 10].split())))
        for i in range(40)
    ),
]
OTHERS = [  # not trained on
    "",
    " ",
    "  the   dog\t\njumps ",
    "ﬁne \uff46\uff55\uff4c\uff4c \uff12 Ⅳ",  # NFKC changes each
    "Ubergro\u00df u\u0308ber \u00dcber",
    "😀 emoji and ελληνικά",
    "\u200b\ufeffzero width",
    "<s> </s> <pad> <unk> ▁",
    "x" * 500,
]


def train(kind, lowercase=False):
    side = SideConfig(kind=kind, vocabulary_size=SIZES[kind])
    return train_tokenizer(iter(SENTENCES), side, lowercase)


@pytest.fixture(scope="module", params=SIZES)
def pair(request):
    """The class under test and the library, with one model."""
    model = train(request.param)
    return Tokenizer(model), sentencepiece.SentencePieceProcessor(model_proto=model)


def restored(tokenizer, texts):
    ids = tokenizer.tokenize(tf.constant(texts)).to_tensor(features.PAD)
    return [text.decode() for text in tokenizer.detokenize(ids).numpy()]


def test_the_ids_are_those_of_the_library(pair):
    tokenizer, library = pair
    texts = SENTENCES + OTHERS
    ids = tokenizer.tokenize(tf.constant(texts))
    assert ids.dtype == tf.int64
    assert ids.to_list() == [library.encode(text) for text in texts]
    assert tokenizer.vocabulary_size == library.get_piece_size()


def test_text_of_the_training_data_comes_back_normalized(pair):
    tokenizer, _ = pair
    expected = [" ".join(unicodedata.normalize("NFKC", text).split()) for text in SENTENCES]
    assert restored(tokenizer, SENTENCES) == expected
    assert {"ü", "ß", "ö", "学", "灯"} <= set("".join(restored(tokenizer, SENTENCES)))


def test_the_special_ids_are_those_of_features_and_no_text_gives_them(pair):
    tokenizer, library = pair
    ids = (library.pad_id(), library.bos_id(), library.eos_id(), library.unk_id())
    assert ids == (features.PAD, features.BOS, features.EOS, features.UNK)
    assert tuple(library.id_to_piece(i) for i in ids) == features.SPECIAL_TOKENS
    given = set(tokenizer.tokenize(tf.constant(OTHERS)).flat_values.numpy().tolist())
    assert not given & {features.PAD, features.BOS, features.EOS}


def test_special_ids_leave_no_trace_in_text(pair):
    tokenizer, library = pair
    ids = library.encode(SEEDS[0])
    framed = [features.BOS, *ids, features.EOS, features.PAD, features.PAD]
    assert tokenizer.detokenize(tf.constant([framed])).numpy()[0].decode() == SEEDS[0]
    alone = tokenizer.detokenize(tf.constant([[features.PAD, features.EOS]]))
    assert alone.numpy().tolist() == [b""]


def test_a_source_ends_with_eos_and_a_target_stands_between_bos_and_eos(pair):
    tokenizer, library = pair
    texts = [SEEDS[1], "", SEEDS[6]]
    tokens = [library.encode(text) for text in texts]
    source, target = (f(tokenizer, tf.constant(texts)) for f in (source_ids, target_ids))
    assert source.dtype == target.dtype == tf.int64
    assert source.to_list() == [[*ids, features.EOS] for ids in tokens]
    assert target.to_list() == [[features.BOS, *ids, features.EOS] for ids in tokens]
    assert tokens[1] == []
    none = source_ids(tokenizer, tf.constant([], tf.string))
    assert none.to_list() == []


def test_unknown_characters_become_unk_and_its_sign(pair):
    tokenizer, _ = pair
    assert features.UNK in tokenizer.tokenize(tf.constant(["😀"])).to_list()[0]
    assert "⁇" in restored(tokenizer, ["😀"])[0]


@pytest.mark.parametrize("kind", SIZES)
def test_lowercase_folds_what_is_read_and_what_is_answered(kind):
    tokenizer = Tokenizer(train(kind, lowercase=True))
    upper, lower = (
        tokenizer.tokenize(tf.constant([t])).to_list() for t in ("ÜBER DEN", "über den")
    )
    assert upper == lower
    assert restored(tokenizer, ["Über DEN"]) == ["über den"]
    plain = Tokenizer(train(kind))
    assert restored(plain, ["Über den"]) == ["Über den"]


def test_without_normalization_the_graph_gives_text_back_as_it_is():
    text = "你好\uff0c世界\uff01 می\u200cروم … ½"
    side = SideConfig(kind="character", normalization="none")
    tokenizer = Tokenizer(train_tokenizer(iter([text]), side, False))
    assert restored(tokenizer, [text]) == [text]


def test_learning_twice_gives_the_same_model():
    for kind in SIZES:
        assert train(kind) == train(kind)


def test_each_side_is_loaded_by_its_own_name():
    models = {SOURCE_MODEL: train("word"), TARGET_MODEL: train("character")}
    source, target = load_tokenizers(models.__getitem__)
    assert len(source.tokenize(tf.constant(["the dog"])).to_list()[0]) == 2
    assert len(target.tokenize(tf.constant(["the dog"])).to_list()[0]) == 7


def both_spellings(tokenizer, texts, limit):
    return [
        [[token.decode() for token in row] for row in tokens.to_list()]
        for tokens in tokenizer.spelled(tf.constant(texts, tf.string, shape=[len(texts)]), limit)
    ]


def test_known_tokens_are_spelled_by_their_pieces_and_none_by_nothing(pair):
    tokenizer, library = pair
    texts, limit = SENTENCES + OTHERS, 6
    for text, pieces, words in zip(texts, *both_spellings(tokenizer, texts, limit), strict=True):
        ids = library.encode(text)[:limit]
        assert len(pieces) == len(words) == len(ids) and all(pieces) and all(words)
        known = [(piece, i) for piece, i in zip(pieces, ids, strict=True) if i != features.UNK]
        assert [piece for piece, _ in known] == [library.id_to_piece(i) for _, i in known]


def test_all_that_was_written_stands_in_the_words_of_its_tokens(pair):
    tokenizer, _ = pair
    texts = ["Ubergroß  ÜBER das\u00a0Licht", "Ⅳ x\t№", "😀 emoji and ελληνικά"]
    _, words = both_spellings(tokenizer, texts, 99)
    for text, row in zip(texts, words, strict=True):
        # But for '№', which two tokens share: one has it, the other has its sign for that.
        written = "".join(row).replace("⁇", "").replace("N", "")
        assert written.replace("▁", "") == "".join(text.split())


def test_words_keep_case_and_form_where_pieces_do_not():
    tokenizer = Tokenizer(train("word", lowercase=True))
    text = "  SWITCH\u3000ﬁne\u00a0 OVER ".encode() + b"x\xff" + " the Ⅳ\t".encode()
    pieces, words = both_spellings(tokenizer, [text], 9)
    assert pieces == [["▁switch", "▁ﬁne", "▁over", "▁x\ufffd", "▁the", "▁Ⅳ"]]
    assert words == [["SWITCH", "ﬁne", "OVER", "x\ufffd", "the", "Ⅳ"]]


def test_no_text_has_no_tokens_to_spell(pair):
    tokenizer, _ = pair
    assert both_spellings(tokenizer, ["", " \t"], 3) == [[[], []]] * 2
    assert both_spellings(tokenizer, [], 3) == [[], []]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("word", "the ÄäNo 5 quick"), ("character", "theÄäNo 5 quick"), ("bpe", "theÄäNo 5 quick")],
)
def test_a_word_stands_in_place_of_unk_and_apart_where_all_tokens_are_words(kind, expected):
    tokenizer = Tokenizer(train(kind))
    the, quick = tokenizer.tokenize(tf.constant(["the", " quick"])).to_list()
    space = (
        tokenizer.tokenize(tf.constant(["a b"])).to_list()[0][1:2] if kind == "character" else []
    )
    ids = [*the, features.UNK, *space, *quick, features.EOS, features.PAD]
    found = tokenizer.spell(tf.constant([ids]), tf.fill([1, len(ids)], "ÄäNo▁5"))
    assert found.numpy()[0].decode() == expected
