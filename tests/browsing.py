"""A real headless Chromium for tests of pages, and what people do in it.

Without Debian's chromium and chromium-driver such tests are skipped, or fail where
SEQ2SEQ_BROWSER=required is set, as `.ci/run` does.
"""

import os
import shutil
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

NARROW = 390  # pixels of a telephone


def found_browser():
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing and os.environ.get("SEQ2SEQ_BROWSER") == "required":
        pytest.fail(f"SEQ2SEQ_BROWSER=required, and there is no {' and no '.join(missing)}")
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} (Debian: chromium, chromium-driver)")


@contextmanager
def chromium():
    """A browser that keeps what its console is told."""
    found_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        driver.set_page_load_timeout(120)
        yield driver
    finally:
        driver.quit()


def set_window(browser, width=1200, scheme="light"):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


@contextmanager
def leaving(browser):
    """Waits until what is done in it has brought another page."""
    browser.execute_script("window.isOld = true")
    yield
    arrived = "return !window.isOld && document.readyState == 'complete'"
    # In between, the driver may find no page at all.
    wait = WebDriverWait(browser, 120, ignored_exceptions=[WebDriverException])
    wait.until(lambda b: b.execute_script(arrived))


def explained(browser, beginning):
    """How many answers are shown, each of which begins so and has its attention drawn."""
    answers = browser.find_elements(By.CSS_SELECTOR, ".hypothesis")
    for one in answers:
        assert one.find_element(By.CSS_SELECTOR, "b").text.startswith(beginning)
        image = one.find_element(By.CSS_SELECTOR, "figure img")
        assert browser.execute_script("return arguments[0].naturalWidth", image) > 50
    return len(answers)
