"""Evaluated sentences for tests, with random answers, and what statistics ask of a library."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seq2seq_tfx.components.bootstrap import interval, resample
from seq2seq_tfx.report.dashboard.library import Library


def resample_pair(pair, resamples):
    sums = resample(dict(enumerate(pair)), resamples, 1)
    return [sums[0], sums[1]]


def quotients(metric, sums):
    return np.array([a / b if b else np.nan for a, b in sums.tolist()])


def loss(metric, values):
    if metric == "ratio":
        return abs(values - 1)
    return -values if metric == "share" else values


LIBRARY = Library(
    loss=loss,
    figures=quotients,
    sentence_figures=quotients,
    resample=resample_pair,
    interval=lambda values: interval(values, 0.95),
)


def row(number, generator, domain=True):
    def answer():
        length = generator.randint(1, 9)
        return {
            "text": " ".join(generator.choices("abcd", k=length)),
            "score": -1.0,
            "log_prob": generator.choice([-1, -2.5, float("nan")]),
            "confidence": {"mean_log_prob": -generator.random(), "ignored_source": 1 / length},
            "statistics": {
                "share": [generator.randint(0, length), length],
                "errors": [generator.randint(0, 9) / 2, generator.randint(0, 3)],
                "ratio": [generator.randint(1, 4), 2],
                "repetition_rate": [generator.randint(0, 2), length],
            },
        }

    slices = {"set": "test", "rarest_word": generator.choice(["0", "1-9"])}
    if domain and number % 3:
        slices["domain"] = generator.choice(["2020-01-01", "Ü<b>"])
    return {
        "id": f"{generator.getrandbits(64):016x}",
        "source": generator.choice(["Straße", "2020-01-01", "ÄRGER", ""]) + str(number),
        "references": [" ".join(generator.choices("abcd", k=5))],
        "slices": slices, "candidate": answer(), "baseline": answer(),
    }  # fmt: skip


def write(folder, *shards):
    folder.mkdir(exist_ok=True)
    schema = pa.Table.from_pylist([one for rows in shards for one in rows]).schema
    for i, rows in enumerate(shards):
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"sentences-{i}.parquet")
    return folder
