"""JoeyNMT's training until a mark or its minutes are over; `benchmarks/quality.py` runs it.

`python -m joeynmt train` with a configuration of its own; its log has the course.
"""

import datetime
import json
import re
import subprocess
import sys
import time
from pathlib import Path

from joeynmt_architecture import architecture

STAMP = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3})")
SCORE = re.compile(r"Evaluation result \(greedy\): bleu:\s*([\d.]+)")


def configuration(folder, settings, steps):
    """As JoeyNMT reads it."""
    tokens = {
        "level": "bpe",
        "tokenizer_type": "sentencepiece",
        "tokenizer_cfg": {"model_file": f"{folder}/pieces.model"},
        "voc_file": f"{folder}/pieces.txt",
        "max_length": settings["longest"],
    }
    return {
        "name": "quality",
        "model_dir": f"{folder}/joeynmt",
        "use_cuda": False,
        "random_seed": 1,
        "normalization": "tokens",
        "data": {
            "train": f"{folder}/train",
            "dev": f"{folder}/val",
            "dataset_type": "plain",
            "src": {"lang": "source", **tokens},
            "trg": {"lang": "target", **tokens},
            # JoeyNMT's ids; the pieces of both sides are the same.
            "special_symbols": {},
        },
        "testing": {
            "beam_size": 1,
            "batch_size": 64,
            "batch_type": "sentence",
            "max_output_length": 128,
            "eval_metrics": ["bleu"],
            "sacrebleu_cfg": {"tokenize": "13a"},
        },
        "training": {
            "normalization": "tokens",
            "optimizer": "adam",
            "learning_rate": settings["rate"],
            # A constant rate: it knows none by that name.
            "scheduling": "exponential",
            "decrease_factor": 1.0,
            "clip_grad_norm": 1.0,
            "label_smoothing": settings["smoothing"],
            "batch_size": settings["batch"],
            "batch_type": "sentence",
            "epochs": 10_000,
            "validation_freq": steps,
            "logging_freq": steps,
            "early_stopping_metric": "bleu",
            "keep_best_ckpts": 1,
            "print_valid_sents": [],
            "overwrite": True,
            "shuffle": True,
        },
        "model": architecture(settings["hidden"], True, settings["dropout"]),
    }


def moment(line):
    """When a line of the log was written, in seconds."""
    found = STAMP.match(line)
    if not found:
        return None
    return datetime.datetime.fromisoformat(found[1]).timestamp() + int(found[2]) / 1000


def course_of(log):
    """Validation BLEU by minutes since the first epoch began."""
    began, course = None, []
    for line in log.splitlines():
        if began is None and re.search(r"EPOCH 1$", line):
            began = moment(line)
        score = SCORE.search(line)
        if score and began is not None:
            course.append({"minutes": (moment(line) - began) / 60, "bleu": float(score[1])})
    return course


def answers_of(folder, asked, settings):
    """What the weights of the best validation answer to the test split, by beam search."""
    path, answers = folder / "joeynmt_test.yaml", folder / "joeynmt_answers"
    # Its `translate` cannot write a file (2.3.0); `test` answers each split that it is given.
    data = {**asked["data"], "dev": None, "test": f"{folder}/test"}
    testing = {
        **asked["testing"],
        "beam_size": settings["beam"],
        "beam_alpha": settings["length_penalty"],
    }
    path.write_text(json.dumps({**asked, "data": data, "testing": testing}), encoding="utf-8")
    command = [sys.executable, "-m", "joeynmt", "test", str(path), "--output-path", str(answers)]
    with (folder / "joeynmt_test.out").open("w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit((folder / "joeynmt_test.out").read_text()[-3000:])
    return Path(f"{answers}.test").read_text(encoding="utf-8").splitlines()


def main():
    """Prints the course of validation BLEU as JSON, and the last answers if they are asked for."""
    folder = Path(sys.argv[1]).absolute()
    settings = json.loads((folder / "settings.json").read_text())
    rows = sum(1 for _ in (folder / "train.source").open(encoding="utf-8"))
    path = folder / "joeynmt.yaml"
    # JSON is YAML.
    asked = configuration(str(folder), settings, max(rows // settings["batch"], 1))
    path.write_text(json.dumps(asked), encoding="utf-8")
    log = folder / "joeynmt" / "train.log"
    with (folder / "joeynmt.out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "joeynmt", "train", str(path), "--skip-test"],
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        told, course = 0, []
        while process.poll() is None:
            time.sleep(1)
            text = log.read_text(encoding="utf-8") if log.exists() else ""
            course = course_of(text)
            for one in course[told:]:
                print(f"  {one}", file=sys.stderr, flush=True)
            told = len(course)
            first = next((moment(x) for x in text.splitlines() if x.endswith("EPOCH 1")), None)
            over = first is not None and (time.time() - first) / 60 > settings["minutes"]
            if over or any(one["bleu"] >= settings["mark"] for one in course):
                process.terminate()
                process.wait()
                break
        else:
            if process.returncode:
                sys.exit((folder / "joeynmt.out").read_text()[-3000:])
    told = {"course": course_of(log.read_text("utf-8")), "versions": {"joeynmt": "2.3.0"}}
    if "beam" in settings:
        told["answers"] = answers_of(folder, asked, settings)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
