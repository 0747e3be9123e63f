"""Time to quality: minutes of training until validation BLEU reaches its marks, beside JoeyNMT.

    make bench-quality [DATA=DIR] [MINUTES=60] [TEST=test_2016_flickr]

DIR has Moses-style pairs train.SRC, train.TGT, val.SRC and val.TGT, packed with gzip or
not; without it the Home Assistant pairs are taken. Both sides train JoeyNMT's recurrent
model on the same pieces of one SentencePiece model, in equal sizes, with Adam at a
constant rate, dropout and label smoothing alike, one after the other with all cores to
itself. After each epoch the validation split is answered greedily and scored by
sacreBLEU, cased; that time counts, the start of the process does not. A side ends when it
reaches the last mark or its minutes are over; with TEST.SRC and TEST.TGT in DIR the
weights that validated best then answer these, by a beam of 5. Writes
benchmarks/results/quality.json after each side, so that a fault of the second does not
lose the first; its `ratios` are our minutes over JoeyNMT's.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import sacrebleu
from side_by_side import ROOT, machine, peer_python, write

HERE = Path(__file__).parent
MARKS = (20, 25, 30, 33)
SPLITS = ("train", "val")
TEST = "test"  # the split of the last answers, where there is one
# What both sides train with.
SETTINGS = {"dropout": 0.3, "smoothing": 0.1, "rate": 1e-3, "batch": 80, "longest": 100}
BEAM = {"beam": 5, "length_penalty": 1.0}  # of the last answers, by Wu et al. (2016), equation 14


def lines_of(folder: Path, name: str) -> list[str]:
    """The lines of a file, packed or not."""
    path, packed = folder / name, folder / f"{name}.gz"
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
    return content.decode("utf-8").splitlines()


def pairs_of(
    folder: Path, source: str, target: str, test: str | None = None
) -> dict[str, list[tuple[str, str]]]:
    """The pairs of each split; both sides must have text.

    Args:
      folder: of the files.
      source: how those of the sources end.
      target: how those of the targets end.
      test: how those of the test split begin, if there shall be one.
    """
    found = {}
    for split, name in (*((split, split) for split in SPLITS), *([(TEST, test)] if test else [])):
        sides = [lines_of(folder, f"{name}.{language}") for language in (source, target)]
        if len(sides[0]) != len(sides[1]):
            sys.exit(f"{folder}/{name}: {len(sides[0])} and {len(sides[1])} lines")
        found[split] = [pair for pair in zip(*sides, strict=True) if all(map(str.strip, pair))]
    return found


def home_assistant() -> dict[str, list[tuple[str, str]]]:
    """The pairs of `seq2seq data home_assistant`: every twentieth source is for validation."""
    path = ROOT / "data" / "home_assistant_en_de" / "pairs.tsv"
    if not path.exists():
        start = "from seq2seq_tfx.pipeline.cli import main; main()"
        command = [sys.executable, "-c", start, "data", "home_assistant"]
        subprocess.run(command, cwd=ROOT, check=True)
    by_source: dict[str, str] = {}
    for line in path.read_text("utf-8").splitlines():
        source, target = line.split("\t")[:2]
        by_source.setdefault(source, target)
    found: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
    for number, pair in enumerate(sorted(by_source.items())):
        found["val" if number % 20 == 0 else "train"].append(pair)
    return found


def minutes_to(course: list[dict], mark: float) -> float | None:
    """When a validation first reached a mark."""
    return next((round(one["minutes"], 2) for one in course if one["bleu"] >= mark), None)


def described(record: dict, references: list[str] | None = None) -> dict:
    """A side's figures; with references those of its last answers, too."""
    course, answers = record["course"], record.get("answers")
    best = max(course, key=lambda one: one["bleu"], default={"bleu": None, "minutes": 0.0})
    told = {
        "minutes_to": {str(mark): minutes_to(course, mark) for mark in MARKS},
        "best_bleu": best["bleu"],
    }
    if answers and references:
        bleu = sacrebleu.BLEU()
        score = bleu.corpus_score(answers, [references]).score
        told["test"] = {"bleu": round(score, 2), "after_minutes": round(best["minutes"], 1)}
        told["test"]["signature"] = str(bleu.get_signature())
    return {**told, **{name: value for name, value in record.items() if name != "answers"}}


def ratios_of(measured: dict[str, dict]) -> dict[str, float]:
    """Our minutes over JoeyNMT's, for each mark that both have reached."""
    ratios = {}
    if len(measured) == 2:
        for mark in map(str, MARKS):
            one, other = (measured[side]["minutes_to"][mark] for side in ("ours", "joeynmt"))
            if one and other:
                ratios[f"minutes_to_{mark}"] = round(one / other, 3)
    return ratios


def main() -> None:
    """Measures, prints a table, writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="de")
    parser.add_argument("--test", help="how the files of the last answers begin: NAME.SRC")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--minutes", type=float, default=60, help="of each side")
    parser.add_argument("--sides", nargs="*", default=["ours", "joeynmt"])
    arguments = parser.parse_args()
    if arguments.test and not arguments.data:
        parser.error("--test: names files of --data, which was not given")
    pairs = (
        pairs_of(arguments.data, arguments.source, arguments.target, arguments.test)
        if arguments.data
        else home_assistant()
    )
    record = {
        "what": "minutes of training until validation BLEU; ratios are ours over JoeyNMT's",
        "machine": machine(),
        "data": {
            "kind": "given" if arguments.data else "Home Assistant, en-de",
            **{split: len(some) for split, some in pairs.items()},
        },
    }
    measured: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task"
        task.mkdir()
        for split, some in pairs.items():
            for side, lines in zip(("source", "target"), zip(*some, strict=True), strict=True):
                text = "".join(f"{line}\n" for line in lines)
                (task / f"{split}.{side}").write_text(text, "utf-8")
        asked = {name: getattr(arguments, name) for name in ("hidden", "vocabulary", "minutes")}
        settings = {**SETTINGS, **asked, "mark": MARKS[-1], **(BEAM if TEST in pairs else {})}
        references = [target for _, target in pairs.get(TEST, [])]
        (task / "settings.json").write_text(json.dumps(settings))
        # Ours first, for it learns the pieces; JoeyNMT is given them.
        scripts = {"ours": "quality_ours.py", "joeynmt": "peers/joeynmt_quality.py"}
        for side in arguments.sides:
            python = sys.executable if side == "ours" else peer_python()
            command = [python, str(HERE / scripts[side]), str(task)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                sys.exit(f"{scripts[side]} ended with {done.returncode}; what it said is above")
            measured[side] = described(json.loads(done.stdout.splitlines()[-1]), references)
            print(f"{side:8} best {measured[side]['best_bleu']}  {measured[side]['minutes_to']}")
            if TEST in pairs:
                print(f"{'':8} {arguments.test}: {measured[side]['test']}")
            told = {"settings": settings, "ratios": ratios_of(measured), "measured": measured}
            print(f"written: {write('quality', {**record, **told})}")


if __name__ == "__main__":
    main()
