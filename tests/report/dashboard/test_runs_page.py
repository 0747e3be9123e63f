"""The list of runs follows a metric over time: of the test split, a slice or a challenge set."""

import html
import json
import re
from types import SimpleNamespace

import pytest

from seq2seq_tfx.report.dashboard import runs_page as module
from seq2seq_tfx.report.dashboard.records import Artifact, Execution, Run, Store
from seq2seq_tfx.report.dashboard.runs_page import run_page, runs_page
from seq2seq_tfx.report.dashboard.source import Outside, Source

HOSTILE = 'domain="><script>alert(1)</script>, source_length=1-4'


def verdict(bleu, parts):
    figures = {"bleu": bleu, "ter": 2 * bleu}
    slices = [{"slice": name, "candidate": {"bleu": value}} for name, value in parts.items()]
    return {
        "blessed": True, "rules": [{"metric": "bleu"}], "candidate": figures, "slices": slices,
        "intervals": {"candidate": {"bleu": [bleu - 1, bleu + 1], "ter": [None, None]}},
    }  # fmt: skip


def source_of(folder, verdicts):
    runs, artifacts = [], {}
    for i, told in enumerate(verdicts, 1):
        place = folder / str(i)
        place.mkdir()
        (place / "verdict.json").write_text(json.dumps(told))
        artifacts[i] = Artifact(i, "", str(place), {})
        made = [Execution(i, "Gate", "done", 0.0, 0.0, {}, {}, {"verdict": [i]})]
        runs.insert(0, Run(i, "job", float(i), made))
    (folder / "database").write_text("")
    store = Store("job", folder, runs, artifacts)
    outside = Outside(
        read_store=lambda folder, name, is_busy: store,
        database=lambda folder: folder / "database",
        is_busy=lambda folder: False,
        library=SimpleNamespace,
        load_model=lambda folder: None,
        labels=lambda folder: {},
        model_errors=(),
    )
    return Source({"job": folder}, outside)


@pytest.fixture
def source(tmp_path):
    shards = [{"set=names": 10.0, HOSTILE: 1.0}, {"set=names": None, HOSTILE: 3.0}, {}]
    return source_of(tmp_path, [verdict(20.0 + i, parts) for i, parts in enumerate(shards)])


def series(page):
    """The figures from run to run, the newest first."""
    rows = re.findall(r"<tr>\s*<td class=\"choice\">.*?</tr>", page, re.DOTALL)
    return [(re.findall(r"([\d.]+)<div class=\"track\">", row) or [None])[0] for row in rows]


def test_a_metric_is_followed_of_the_whole_of_a_slice_and_of_a_challenge_set(source):
    assert series(runs_page(source)) == ["22.00", "21.00", "20.00"]
    assert series(runs_page(source, metric="ter")) == ["44.00", "42.00", "40.00"]
    assert series(runs_page(source, part="set=names")) == [None, None, "10.00"]
    assert series(runs_page(source, metric="bleu", part=HOSTILE)) == [None, "3.0000", "1.0000"]
    assert series(runs_page(source, metric="ter", part=HOSTILE)) == [None] * 3


def test_what_is_followed_is_chosen_of_what_runs_told_and_is_text(source):
    page = runs_page(source, metric="ter", part=HOSTILE)
    options = [html.unescape(one) for one in re.findall(r'<option value="([^"]*)"', page)]
    assert options == ["", "bleu", "ter", "", "set=names", HOSTILE]
    assert "<script" not in page and page.count(" selected") == 2
    assert "<script" not in runs_page(source, metric="<script>", part="<script>")


def test_older_runs_are_followed_by_the_same(source, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 1)
    page = runs_page(source, 2, "bleu", HOSTILE)
    assert series(page) == ["3.0000"]
    older = html.unescape(re.findall(r'href="(/\?page=3[^"]*)"', page)[0])
    assert older.startswith("/?page=3&metric=bleu&slice=domain%3D%22%3E%3Cscript")


def test_of_very_many_slices_challenge_sets_are_offered_and_the_number_left_out_is_told(tmp_path):
    parts = {f"document={i}": 1.0 for i in range(1_000)} | {"set=names": 2.0}
    source = source_of(tmp_path, [verdict(20.0, parts)])
    page = runs_page(source)
    assert page.count("<option") < 250 and 'value="set=names"' in page
    assert "801 more slices are not offered here" in page
    assert series(runs_page(source, part="document=999")) == ["1.0000"]


@pytest.mark.parametrize(("state", "goes_on"), [("running", True), ("failed", False)])
def test_a_run_that_goes_on_is_not_said_to_have_ended(tmp_path, state, goes_on):
    source = source_of(tmp_path, [])
    made = [Execution(1, "Trainer", state, 0.0, 1.0, {}, {}, {})]
    run = Run(1, "job", 1.0, made)
    page = run_page(source, Store("job", tmp_path, [run], {}), run)
    assert ("The run goes on" in page) == goes_on
    assert ("came to no verdict" in page) != goes_on
    assert (f'badge bad">{state}: Trainer' in page) != goes_on
