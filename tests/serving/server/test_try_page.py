"""The server's page for people, as they use it: in a real headless Chromium."""

import urllib.request

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ...browsing import NARROW, explained, leaving, set_window
from ..running import Running

pytestmark = [pytest.mark.slow]


def test_the_page_of_a_server_explains_what_is_answered_with_options(running, browser):
    set_window(browser, NARROW)
    browser.get(f"http://{running.address.rest}/")
    browser.switch_to.active_element.send_keys("the quick")
    browser.find_element(By.CSS_SELECTOR, "summary").click()
    browser.find_element(By.NAME, "beam_size").send_keys("2")
    with leaving(browser):
        browser.find_element(By.NAME, "prefix").send_keys("ab", Keys.ENTER)
    assert explained(browser, beginning="ab") == 2
    with leaving(browser):
        browser.find_element(By.NAME, "beam_size").send_keys("9", Keys.ENTER)
    refused = browser.find_element(By.CSS_SELECTOR, "[role=alert] p").text
    assert refused.startswith("beam_size: expected")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= NARROW


def test_the_local_server_has_the_same_page(browser, exported):
    set_window(browser)
    with Running(exported.directory.parent) as server:
        browser.get(f"http://{server.address.rest}/")
        browser.switch_to.active_element.send_keys("the quick")
        with leaving(browser):
            browser.find_element(By.CSS_SELECTOR, "form button").click()
        assert len(browser.find_elements(By.CSS_SELECTOR, ".hypothesis")) == 3
        assert browser.find_elements(By.CSS_SELECTOR, "figure img")
        browser.find_element(By.CSS_SELECTOR, "summary").click()
        with leaving(browser):
            browser.find_element(By.NAME, "hypotheses").send_keys("9", Keys.ENTER)
        alert = browser.find_element(By.CSS_SELECTOR, "[role=alert]")
        assert "hypotheses: expected" in alert.text
        status = server.address.request("/", b"text=a&top_p=x", method="POST").status
        assert status == 400
        reply = urllib.request.urlopen(f"http://{server.address.rest}/")
        assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
