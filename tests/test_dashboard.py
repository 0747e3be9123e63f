"""The dashboard as people use it: the command, in a real headless Chromium."""

import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from seq2seq_tfx.serving.promotion import promote

from .browsing import NARROW, explained, found_browser, leaving, set_window
from .jobs import COMMAND, seq2seq
from .scripts import script
from .serving.conftest import exported  # noqa: F401  a small model

pytestmark = [pytest.mark.slow]

HOSTILE = "<img src=x onerror=document.title='broken'>\u202egnp.exe\u2066 </script>"
LONG = "x" * 10_000


def maker(folder, pipeline="translation"):
    module = script("benchmarks/dashboard_store")
    return module, module.Maker(folder, pipeline)


@pytest.fixture(scope="module")
def output(tmp_path_factory, exported):  # noqa: F811
    """An output folder with three runs; a sentence of the newest is hostile, one is long.

    The first was pushed and its version removed, the second is what is served.
    """
    found_browser()
    folder = tmp_path_factory.mktemp("runs") / "job"
    store, made = maker(folder)
    names = ("token_error_rate", "chrf", "length_ratio", "repetition_rate")
    for seed, errors in ((1, 0.5), (2, 0.4)):
        made.add(store.make_rows(60, seed, errors, names), learning_rate=seed / 10, version=seed)
    shutil.rmtree(folder / "serving/translation/1")
    rows = store.make_rows(58, 3, 0.1, names)
    for text in (HOSTILE, LONG):
        slices = {"set": "test", "source_length": "33-64", "rarest_word": "0"}
        row = store.new_row(text, [f"{text} reference"], slices)
        for model in ("candidate", "baseline"):
            row[model] = {"text": f"{text} answer", "score": -9.0, "log_prob": -99.0}
        rows.append(store.compare(row, names))
    made.add(rows, learning_rate=0.2, blessed=False)
    shutil.copytree(exported.directory, folder / "artifacts/Trainer/model/3/Format-Serving")
    (folder / "pairs.tsv").write_text(f"{HOSTILE}\t{LONG}\na b\tc d\n" * 4)
    checked = seq2seq("data", "check", "pairs.tsv", "--output", "checked", cwd=folder)
    assert checked.returncode == 0, checked.stderr
    shutil.copy(folder / "checked/report.html", folder / "artifacts/BitextValidator/report/3")
    return folder


@pytest.fixture(scope="module")
def other(output):
    """Another output folder, of one run, whose version has a label."""
    store, made = maker(output.parent / "second", "spelling")
    made.add(store.make_rows(40, 7, 0.2, ("chrf", "length_ratio")), version=7)
    promote(output.parent / "second/serving/spelling", 7)
    return output.parent / "second"


@pytest.fixture(scope="module")
def address(output, other):
    process = subprocess.Popen(
        [*COMMAND, "dashboard", str(output), str(other), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    line = next(line for line in process.stdout if "http://" in line)
    yield re.search(r"http://[^/]+", line)[0]
    process.terminate()
    assert process.wait(60) == 0  # SIGTERM is a way to end it
    process.stdout.close()


@pytest.fixture
def look(browser, address):
    """Opens a page, and sees to it that nothing of it failed or was refused by its policy."""
    set_window(browser)
    browser.get_log("browser")

    def open_page(path):
        browser.get(address + path)
        return browser.find_element(By.TAG_NAME, "body").text

    yield open_page
    told = [e["message"] for e in browser.get_log("browser") if "favicon" not in e["message"]]
    assert told == []


def newest(look, browser):
    look("/")
    return browser.find_element(By.CSS_SELECTOR, ".runs a").get_attribute("href")


def path_of(browser, look):
    return re.sub(r"http://[^/]+", "", newest(look, browser))


def run_numbers(look, browser):
    """Of the runs of the first folder, the newest first."""
    look("/")
    links = browser.find_elements(By.CSS_SELECTOR, ".runs a")
    found = [re.search(r"/runs/job/(\d+)$", link.get_attribute("href")) for link in links]
    return [one[1] for one in found if one]


def sources(browser):
    return [e.text for e in browser.find_elements(By.CSS_SELECTOR, ".sentence dd:nth-of-type(1)")]


def test_the_list_tells_what_each_run_changed_and_what_came_of_it(look):
    text = look("/")
    assert "3 runs in" in text and text.count("not blessed") == 1
    assert "learning_rate 0.1 → 0.2" in text and "the first run" in text and "nothing" in text


def test_a_version_is_told_with_what_servers_call_it_and_a_removed_one_as_removed(look, browser):
    look("/")
    rows = [row.text for row in browser.find_elements(By.CSS_SELECTOR, ".runs tbody tr")]
    assert [[word for word in ("stable", "serving", "removed") if word in row] for row in rows] == [
        [], ["serving"], ["removed"], ["stable"]
    ]  # fmt: skip
    assert ["blessed and pushed" in row for row in rows] == [False, True, True, True]
    numbers = run_numbers(look, browser)
    assert "pushed as version 2 serving" in look(f"/runs/job/{numbers[1]}")
    assert "pushed as version 1 removed" in look(f"/runs/job/{numbers[2]}")


def test_runs_of_several_folders_are_listed_followed_and_compared(look, browser):
    text = look("/")
    assert "3 runs in" in text and "1 run in" in text and "spelling" in text
    Select(browser.find_element(By.NAME, "metric")).select_by_visible_text("chrf")
    Select(browser.find_element(By.NAME, "slice")).select_by_visible_text("source_length=33-64")
    with leaving(browser):
        browser.find_element(By.CSS_SELECTOR, "form button").click()
    headings = [head.text for head in browser.find_elements(By.CSS_SELECTOR, ".runs th")]
    assert headings.count("chrf\nsource_length=33-64") == 2
    browser.find_elements(By.CSS_SELECTOR, "input[name=before]")[-1].send_keys(Keys.SPACE)
    with leaving(browser):
        browser.find_element(By.CSS_SELECTOR, "[action='/compare'] button").send_keys(Keys.ENTER)
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "spelling" in text and "40\ntest sentences that both answered" in text


def test_the_page_about_the_data_is_that_of_the_run_and_hostile_text_is_text(look, browser):
    look(path_of(browser, look))
    with leaving(browser):
        browser.find_element(By.LINK_TEXT, "About the data").click()
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "8" in text and "broken" not in browser.title
    assert browser.find_elements(By.CSS_SELECTOR, "figure img")
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src=x]")


def test_a_run_tells_its_metrics_slices_learning_lineage(look, browser):
    text = look(path_of(browser, look))
    for told in ("The gate's verdict", "token_error_rate", "source_length=", "Trainer", "input"):
        assert told in text
    assert browser.find_elements(By.CSS_SELECTOR, "svg.plot polyline")
    Select(browser.find_element(By.NAME, "metric")).select_by_visible_text("chrf")
    with leaving(browser):
        browser.find_element(By.CSS_SELECTOR, "#slices button").click()
    assert "chrf by what sentences have in common" in browser.page_source


def test_sentences_are_searched_filtered_sorted_and_paged(look, browser):
    path = f"{path_of(browser, look)}/sentences"
    text = look(path)
    assert "60 of 60 sentences" in text and len(sources(browser)) == 25
    first = sources(browser)
    with leaving(browser):
        browser.find_element(By.LINK_TEXT, "next").click()
    assert not set(first) & set(sources(browser))
    Select(browser.find_element(By.NAME, "slice.rarest_word")).select_by_value("1-9")
    Select(browser.find_element(By.NAME, "sort")).select_by_value("length")
    with leaving(browser):
        browser.find_element(By.NAME, "q").send_keys("w1", Keys.ENTER)  # without the mouse
    found = sources(browser)
    assert found
    lengths = [len(source) for source in found]
    assert lengths == sorted(lengths, reverse=True)
    tags = browser.find_elements(By.CSS_SELECTOR, ".sentence .tag")
    assert {tag.text for tag in tags if tag.text.startswith("rarest")} == {"rarest_word 1-9"}
    assert browser.find_element(By.NAME, "q").get_attribute("value") == "w1"


def test_a_hostile_sentence_is_text_and_stays_in_its_place(look, browser):
    path = f"{path_of(browser, look)}/sentences?sort=length"
    text = look(path)
    assert "<img src=x onerror=document.title='broken'>" in look(f"{path}&q=onerror")
    assert "[U+202E]gnp.exe[U+2066]" in look(f"{path}&q=onerror")
    assert "broken" not in browser.title
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src=x]")
    assert "x" * 300 in text and "x" * 500 not in text  # cut in the list,
    set_window(browser, NARROW)
    look(path)
    with leaving(browser):
        browser.find_element(By.CSS_SELECTOR, ".sentence a").click()
    assert LONG in browser.find_element(By.TAG_NAME, "body").text  # and whole where it is alone
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= NARROW


def test_two_runs_are_chosen_in_the_list_and_compared(look, browser):
    look("/")
    before = browser.find_elements(By.CSS_SELECTOR, "input[name=before]")
    before[2].send_keys(Keys.SPACE)
    with leaving(browser):
        browser.find_element(By.CSS_SELECTOR, "[action='/compare'] button").send_keys(Keys.ENTER)
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "58 are only" not in text and "sentences that both answered" in text
    row = next(r.text for r in browser.find_elements(By.TAG_NAME, "tr") if "token_error" in r.text)
    assert row.endswith("better")
    assert "Improved most" in text and "times in training" in text
    assert "Trainer: training.learning_rate" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_narrow_window_and_have_the_colours_of_the_reader(look, browser, scheme):
    run = path_of(browser, look)
    set_window(browser, NARROW, scheme)
    compared = "/compare?before=job%2F{}&after=job%2F{}".format(*run_numbers(look, browser)[1::-1])
    look(f"{run}/sentences?q=onerror")
    sentence = browser.find_element(By.CSS_SELECTOR, ".sentence a").get_attribute("href")
    sentence = re.sub(r"http://[^/]+", "", sentence)
    for path in ("/", run, f"{run}/sentences", sentence, f"{run}/data", f"{run}/try", compared):
        look(path)
        # What is wider, such as a table, scrolls in its own box.
        assert browser.execute_script("return document.documentElement.scrollWidth") <= NARROW
        color = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", color)[:3])) > 3 * 128
        assert light == (scheme == "light")


def test_a_model_is_tried_with_options_and_explains_its_answers(look, browser):
    run = path_of(browser, look)
    look(f"{run}/try")
    # The field has the focus: one types and tabs.
    browser.switch_to.active_element.send_keys("the quick")
    with leaving(browser):
        browser.find_element(By.CSS_SELECTOR, "form button").click()
    answers = browser.find_elements(By.CSS_SELECTOR, ".hypothesis")
    assert len(answers) == 3 and "log-probability" in answers[0].text
    image = browser.find_element(By.CSS_SELECTOR, "figure img")
    assert browser.execute_script("return arguments[0].naturalWidth", image) > 50
    browser.find_element(By.CSS_SELECTOR, "summary").click()
    browser.find_element(By.NAME, "hypotheses").send_keys("2")
    with leaving(browser):
        browser.find_element(By.NAME, "prefix").send_keys("ab", Keys.ENTER)
    assert explained(browser, beginning="ab") == 2
    browser.find_element(By.NAME, "temperature").send_keys("2")
    with leaving(browser):
        browser.find_element(By.NAME, "hypotheses").send_keys(Keys.BACKSPACE, "3", Keys.ENTER)
    assert explained(browser, beginning="ab") == 3
    with leaving(browser):
        browser.find_element(By.NAME, "beam_size").send_keys("99", Keys.ENTER)
    refused = browser.find_element(By.CSS_SELECTOR, "[role=alert] p").text
    assert refused.startswith("beam_size: expected")

    look(f"{run}/sentences?q=onerror")
    with leaving(browser):
        browser.find_element(By.CSS_SELECTOR, ".sentence a").click()
    with leaving(browser):
        browser.find_element(By.CSS_SELECTOR, "#model button").click()
    assert browser.find_elements(By.CSS_SELECTOR, "#model figure img")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/runs/job/99", 404), ("/runs/other/1", 404), ("/nowhere", 404), ("/compare?before=a", 404),
     ("/runs/job/1/sentences/0123456789abcdef", 404), ("/runs/job/1/try", 200),
     ("/runs/job/../../etc/passwd", 404), ("/?page=99999999999999999999", 200)],
)  # fmt: skip
def test_what_is_not_there_is_said(address, path, status):
    assert answered(address + path)[0] == status


def test_every_answer_forbids_scripts_and_other_names_of_this_machine_are_refused(address):
    for path in ("/", "/nowhere"):
        headers = answered(address + path)[1]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert answered(address, Host="evil.example")[0] == 403
    assert answered(address, Host="localhost:1")[0] == 200


def answered(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as reply:
            return reply.status, reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def test_a_folder_without_runs_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, *COMMAND[1:], "dashboard", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 1 and f"expected runs below {tmp_path}" in done.stderr
