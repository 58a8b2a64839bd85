"""The page in a real browser: it loads in silence, sorts, slides, and runs nobody else's code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from skimage import data

from dmef_bench.leaderboard import leaderboard_frame, load_results, render, scenes_frame
from dmef_bench.report.comparison import GROUND_TRUTH, REFERENCE, Comparison, Window, sections

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.chrome.service import Service  # noqa: E402 - only where selenium is
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "leaderboards" / "4k-dmef" / "a96e16da6511"
HOSTILE = "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """The address of a page with a hostile row, a hostile scene and a hostile machine."""
    first, *others = load_results([PUBLISHED])
    renamed = (replace(first.scenes[0], scene_id=HOSTILE), *first.scenes[1:])
    results = [replace(first, row=HOSTILE, scenes=renamed), *others]
    frame = leaderboard_frame(results, resamples=100)
    photo = cv2.resize(data.astronaut(), (1920, 1080))
    pictures = {REFERENCE: photo // 2, GROUND_TRUTH: photo, HOSTILE: photo // 3}
    shown = Comparison(
        HOSTILE, pictures, (Window(64, 32, 512, 512, HOSTILE),), (HOSTILE,), {HOSTILE: "9 dB"}
    )
    text = render(
        frame,
        "html",
        scenes=scenes_frame(results),
        pictures=tuple(sections([shown])),
        commands=(f"dmef leaderboard {HOSTILE}",),
    )
    path = tmp_path_factory.mktemp("page") / "board.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("no Chromium with its chromedriver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


def opened(chromium, page, *, width=1200, scheme="light", scripts=True):
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    scheme = {"name": "prefers-color-scheme", "value": scheme}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    chromium.get(page)
    return chromium


def column(browser, title: str) -> list[str]:
    """What the cells of a column are sorted by, from the top down."""
    script = """
        const table = document.querySelector(".board");
        const heads = [...table.tHead.rows[0].cells];
        const place = heads.findIndex((head) => head.textContent.startsWith(arguments[0]));
        return [...table.tBodies[0].rows].map((row) => row.cells[place].dataset.value);
    """
    return browser.execute_script(script, title)


def heading(browser, title: str):
    return browser.find_element(By.XPATH, f"//table[1]//th/button[starts-with(., '{title}')]")


def cut(browser) -> float:
    """Per cent of the right picture that are covered by the left one."""
    top = browser.find_elements(By.CSS_SELECTOR, ".stage img")[1]
    return float(top.value_of_css_property("clip-path").split()[-1].rstrip("%)"))


def test_it_loads_without_a_word_on_the_console_and_without_the_network(chromium, page) -> None:
    chromium.get_log("performance")
    chromium.get_log("browser")
    opened(chromium, page)
    assert chromium.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    requests = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
        # The browser's own first tab may still be loading its parts.
        and event["params"]["documentURL"] == page
    ]
    fetched = [url for url in requests if not url.startswith("data:image/jpeg;base64,")]
    assert fetched == [page]


def test_nothing_of_a_record_is_executed_or_becomes_an_element(chromium, page) -> None:
    browser = opened(chromium, page)
    assert browser.execute_script("return window.hacked") is None
    assert browser.execute_script("return document.scripts.length") == 1
    assert browser.find_elements(By.CSS_SELECTOR, "img[src='x']") == []
    assert HOSTILE in browser.find_element(By.CSS_SELECTOR, ".board").text
    assert browser.find_element(By.TAG_NAME, "h3").text == HOSTILE


def test_a_click_sorts_another_turns_and_rows_without_a_figure_stay_below(chromium, page) -> None:
    browser = opened(chromium, page)
    heading(browser, "PSNR").click()
    falling = [float(value) for value in column(browser, "PSNR")]
    assert falling == sorted(falling, reverse=True)
    heading(browser, "PSNR").click()
    rising = [float(value) for value in column(browser, "PSNR")]
    assert rising == sorted(falling)
    heading(browser, "#").click()
    ranks = column(browser, "#")
    assert [float(rank) for rank in ranks if rank] == [1, 2, 3, 4]
    assert ranks[4:] == [""] * (len(ranks) - 4)


def test_the_keyboard_sorts_and_says_so(chromium, page) -> None:
    browser = opened(chromium, page)
    button = heading(browser, "SSIM")
    button.send_keys(Keys.ENTER)
    head = button.find_element(By.XPATH, "..")
    assert head.get_attribute("aria-sort") == "descending"
    button.send_keys(Keys.SPACE)
    assert head.get_attribute("aria-sort") == "ascending"
    values = [float(value) for value in column(browser, "SSIM")]
    assert values == sorted(values)


def test_the_slider_follows_the_keyboard_and_the_pointer(chromium, page) -> None:
    browser = opened(chromium, page)
    assert cut(browser) == 50
    slider = browser.find_element(By.CSS_SELECTOR, ".bar input")
    slider.send_keys(Keys.ARROW_RIGHT * 4)
    assert cut(browser) == 52
    slider.send_keys(Keys.HOME)
    assert cut(browser) == 0
    stage = browser.find_element(By.CSS_SELECTOR, ".stage")
    webdriver.ActionChains(browser).move_to_element(stage).click_and_hold().perform()
    assert cut(browser) == pytest.approx(50, abs=0.5)
    away = webdriver.ActionChains(browser).move_by_offset(stage.size["width"] // 4, 0)
    away.release().perform()
    assert cut(browser) == pytest.approx(75, abs=0.5)
    # Let go of, the pointer moves nothing.
    webdriver.ActionChains(browser).move_to_element(stage).perform()
    assert cut(browser) == pytest.approx(75, abs=0.5)


def test_any_two_pictures_can_be_laid_over_each_other(chromium, page) -> None:
    browser = opened(chromium, page)
    left, right = browser.find_elements(By.CSS_SELECTOR, ".bar select")
    assert left.get_property("value") == HOSTILE
    assert right.get_property("value") == GROUND_TRUTH
    assert len(left.find_elements(By.TAG_NAME, "option")) == 3
    left.send_keys(REFERENCE)
    under, over = browser.find_elements(By.CSS_SELECTOR, ".stage img")
    assert under.get_attribute("alt") == REFERENCE
    assert over.get_attribute("alt") == GROUND_TRUTH
    assert under.get_attribute("src") != over.get_attribute("src")
    assert under.size == over.size


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_the_page_is_as_wide_as_the_window(chromium, page, width) -> None:
    browser = opened(chromium, page, width=width)
    for details in browser.find_elements(By.TAG_NAME, "summary"):
        details.click()
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    assert browser.execute_script("return innerWidth") == width
    # What is wider can be scrolled by itself, also by a keyboard.
    for region in browser.find_elements(By.CSS_SELECTOR, ".wide"):
        assert region.size["width"] <= width
        assert region.get_attribute("tabindex") == "0"


def test_dark_is_dark_and_light_is_light(chromium, page) -> None:
    def brightness(scheme: str) -> tuple[float, float]:
        body = opened(chromium, page, scheme=scheme).find_element(By.TAG_NAME, "body")
        colours = (body.value_of_css_property(name) for name in ("background-color", "color"))
        paper, ink = (
            sum(map(float, colour[colour.index("(") + 1 : -1].split(",")[:3])) / 3
            for colour in colours
        )
        return paper, ink

    paper, ink = brightness("light")
    assert paper > 240 > 60 > ink
    paper, ink = brightness("dark")
    assert paper < 40 < 200 < ink


def test_without_scripts_the_table_and_every_picture_are_there(chromium, page) -> None:
    browser = opened(chromium, page, width=360, scripts=False)
    try:
        assert browser.find_element(By.TAG_NAME, "html").get_property("scrollWidth") == 360
        assert browser.find_elements(By.CSS_SELECTOR, ".board tbody tr")
        assert browser.find_elements(By.CSS_SELECTOR, "thead button, .stage") == []
        whole = browser.find_elements(By.CSS_SELECTOR, ".compare img")
        assert [image.get_attribute("alt") for image in whole] == [REFERENCE, GROUND_TRUTH, HOSTILE]
        crops = browser.find_elements(By.CSS_SELECTOR, ".crops img")
        assert len(crops) == 3 + 2
        assert all(image.is_displayed() for image in whole + crops)
        assert all(image.get_property("naturalWidth") > 0 for image in whole + crops)
    finally:
        opened(chromium, "about:blank")
