"""The contract between the rooms: feature names, special ids, signature names.

Everything that two components must agree on stands here and nowhere else.
"""

from __future__ import annotations

# Features of an example as ingestion writes it: UTF-8 text.
SOURCE = "source"
TARGET = "target"
REFERENCES = "references"  # every accepted target of the source, the first is TARGET

# Features as preprocessing writes them: int64 token ids, unpadded.
SOURCE_IDS = "source_ids"  # tokens, then EOS
TARGET_IDS = "target_ids"  # BOS, tokens, then EOS
WEIGHT = "weight"  # float, how much the pair counts in training; only where `data.weight` is set

# What a batch for teacher forcing may say beside its ids: at which of the B * T target
# positions, row after row, the next token is asked for. int32 [N]; the labels are [N] then.
TARGET_POSITIONS = "target_positions"

# Special ids, the same in every vocabulary.
PAD = 0
BOS = 1
EOS = 2
UNK = 3
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")

# Splits, by what they are for.
TRAIN = "train"  # learning: statistics, tokenizer, weights
VALIDATION = "validation"  # early stopping and tuning
TEST = "test"  # evaluation and the gate alone

# The exported signatures and what they give.
SERVING_SIGNATURE = "serving_default"  # text [N] -> the best hypothesis of each
NBEST_SIGNATURE = "nbest"  # text [N] -> K hypotheses of each, best first
EXAMPLES_SIGNATURE = "examples"  # serialized tf.Example [N] -> as serving_default
TEXT = "text"
SCORE = "score"  # what ranks hypotheses: the log-probability, length-normalized
LOG_PROB = "log_prob"  # the model's own log-probability

WARM_UP_ROWS = 32  # of the largest request by which an export is warmed up

# What 'explain' gives beside TEXT, SCORE and LOG_PROB: text [N] -> K hypotheses of each,
# with S source and T target pieces, padded with '', an EOS being the last of each side.
EXPLAIN_SIGNATURE = "explain"
SOURCE_TOKENS = "source_tokens"  # string [N, S]
SOURCE_LENGTH = "source_length"  # int32 [N]
TARGET_TOKENS = "target_tokens"  # string [N, K, T]
TARGET_LENGTH = "target_length"  # int32 [N, K], 0 where search left a place empty
ATTENTION = "attention"  # float [N, K, T, S], rows sum to 1; all 0 without attention

# Takes every option of search beside TEXT, one of each for each source; gives as NBEST.
DECODE_SIGNATURE = "decode"
EXPLAIN_DECODE_SIGNATURE = "explain_decode"  # takes the same; gives as EXPLAIN

# What 'confidence' gives beside TEXT, SCORE and LOG_PROB of the best hypothesis, each [N];
# a model without attention gives no more than the lengths and MEAN_LOG_PROB.
CONFIDENCE_SIGNATURE = "confidence"
MEAN_LOG_PROB = "mean_log_prob"  # LOG_PROB over TARGET_LENGTH
COVERAGE_DEVIATION = "coverage_deviation"  # these four: `serving.confidence.of_attention`
ATTENTION_ENTROPY = "attention_entropy"
SOURCE_ENTROPY = "source_entropy"
IGNORED_SOURCE = "ignored_source"

# TEXT [N] and a REFERENCE for each -> what the model makes of it by teacher forcing, each [N]:
# LOG_PROB, TARGET_LENGTH (EOS included) and how many of these tokens it would say first.
TEACHER_FORCING_SIGNATURE = "teacher_forcing"
REFERENCE = "reference"
CORRECT_TOKENS = "correct_tokens"  # int32
