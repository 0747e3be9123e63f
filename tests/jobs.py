"""Small jobs, and the command that runs them, for the tests that walk the whole road."""

import os
import random
import subprocess
import sys

JOB = """
name: {name}
data:
  input: {data}
  splits: {{train: 80, validation: 10, test: 10}}
tokenizer:
{tokenizer}
model: {{size: {{embedding: 32, units: 64}}, dropout: 0.1}}
training:
  epochs: {epochs}
  batch_size: 64
  learning_rate: {learning_rate}
search: {{beam_size: 3}}
evaluation:
  metrics: [sequence_error_rate, token_error_rate, bleu, chrf]
gate:
  thresholds:
    sequence_error_rate: {{max: {worst}}}
  max_loss:
    sequence_error_rate: 0.05
"""
CHARACTERS = "  source: {kind: character}\n  target: {kind: character}"
SHARED_UNIGRAM = """  shared: true
  source: {kind: unigram, vocabulary_size: 60}
  target: {kind: unigram, vocabulary_size: 60}"""


COMMAND = [sys.executable, "-c", "from seq2seq_tfx.pipeline.cli import main; main()"]


def seq2seq(*arguments, cwd, stdin=b"", package=None):
    """Runs the command in a process of its own; `package` puts other code before ours."""
    environment = {**os.environ, **({"PYTHONPATH": str(package)} if package else {})}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.pop("TF_ENABLE_ONEDNN_OPTS", None)
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=environment,
    )


def struck(number, line, *arguments, cwd):
    """Runs the command until it prints such a line, and then sends it a signal."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"},
    )
    printed = ""
    for text in process.stdout:
        printed += text
        if line in text:
            process.send_signal(number)
            break
    rest, errors = process.communicate()
    return process.returncode, printed + rest, errors


def write_job(folder, name, **values):
    settings = {
        "name": name,
        "data": folder / "pairs.tsv",
        "tokenizer": CHARACTERS,
        "epochs": 12,
        "learning_rate": 0.01,
        "worst": 0.1,
        **values,
    }
    path = folder / f"{name}.yaml"
    path.write_text(JOB.format(**settings))
    return path


def words(seed, count):
    generator = random.Random(seed)
    lengths = [generator.randint(2, 6) for _ in range(count)]
    return sorted({"".join(generator.choices("abcdefgh", k=length)) for length in lengths})
