"""The page that solves Sudoku, in a headless Chromium, as a person would use it: by the keyboard."""

import functools
import http.server
import pathlib
import shutil
import threading

import pytest

SITE = pathlib.Path(__file__).parents[2] / "docs" / "_build" / "html"
BOARD = "...18...27....2.85.......3.5..7.68..19.2......4.9...5...35............9.68...3..."
selenium = pytest.importorskip("selenium.webdriver", reason="the extra `docs` brings selenium")
pytestmark = [
    pytest.mark.skipif(shutil.which("chromedriver") is None, reason="Chromium and its driver are not installed"),
    pytest.mark.skipif(
        not (SITE / "_static" / "solver" / "step.onnx").exists(),
        reason="`make docs` has not built the page here, or npm was missing",
    ),
]


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Nothing."""


@pytest.fixture(scope="module")
def address():
    handler = functools.partial(_Handler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/solver.html"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = selenium.ChromeOptions()
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options, selenium.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address):
    browser.get_log("browser")
    browser.set_window_size(1280, 900)
    browser.get(address)
    wait(browser, "Ready.")
    yield browser
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not errors


def status(page):
    return page.find_element("id", "solver-status").text


def wait(page, words, seconds=60):
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(page, seconds, 0.05).until(lambda _: words in status(page), f"never said: {words}")


def press(page, *keys):
    page.switch_to.active_element.send_keys(*keys)


def tab_to(page, name):
    """Presses the tab key until the part with this id has the focus."""
    for _ in range(60):
        if page.switch_to.active_element.get_attribute("id") == name:
            return
        press(page, "\ue004")
    raise AssertionError(f"The tab key does not reach `{name}`.")


def cells(page):
    return page.find_elements("css selector", "#solver-board input")


def board(page):
    values = page.execute_script("return [...document.querySelectorAll('#solver-board input')].map(c => c.value)")
    return [values[9 * row : 9 * row + 9] for row in range(9)]


def follows_the_rules(rows):
    columns = list(zip(*rows))
    boxes = [[rows[r + i][c + j] for i in range(3) for j in range(3)] for r in range(0, 9, 3) for c in range(0, 9, 3)]
    return all(sorted(unit) == list("123456789") for unit in (*rows, *columns, *boxes))


def test_a_board_is_typed_and_solved_by_the_keyboard_alone(page):
    tab_to(page, "solver-clear")
    press(page, " ")
    assert page.switch_to.active_element.get_attribute("aria-label") == "Row 1, column 1"
    for row in range(9):
        for column in range(9):
            digit = BOARD[9 * row + column]
            press(page, digit if digit != "." else "", "\ue014" if column < 8 else "")
        press(page, *["\ue012"] * 8, "\ue015")
    assert page.find_element("id", "solver-text").get_attribute("value") == BOARD
    # Enter in a field sends the form.
    press(page, "\ue007")
    wait(page, "Solved after")
    rows = board(page)
    assert follows_the_rules(rows)
    assert all(given in (".", found) for given, found in zip(BOARD, "".join(map("".join, rows))))
    # The energy was drawn as it fell, and so were the oscillators.
    points = page.find_element("css selector", "#solver-energy polyline").get_attribute("points").split()
    heights = [float(point.split(",")[1]) for point in points]
    assert len(heights) > 5
    assert heights[-1] > heights[0]
    drawn = "document.getElementById('solver-oscillators').getContext('2d').getImageData(0, 0, 540, 540).data"
    assert page.execute_script(f"return [...{drawn}].some(value => value > 0)")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("55" + BOARD[2:], "Row 1 has the digit 5 more than once"),
        (BOARD[:80], "these are 80"),
        ("x" + BOARD[1:], "not with “x”"),
    ],
)
def test_a_wrong_board_is_refused_in_words(page, line, words):
    text = page.find_element("id", "solver-text")
    text.clear()
    text.send_keys(line)
    assert words in status(page)
    text.send_keys("\ue007")
    assert words in status(page)


def test_a_wrong_number_of_steps_is_refused_in_words(page):
    steps = page.find_element("id", "solver-steps")
    steps.clear()
    steps.send_keys("0", "\ue007")
    assert "a whole number from 1 to 1024" in status(page)


def test_what_is_not_solved_is_said(page):
    for name in ("steps", "starts"):
        field = page.find_element("id", f"solver-{name}")
        field.clear()
        field.send_keys("1")
    page.find_element("id", "solver-solve").send_keys("\ue007")
    wait(page, "Not solved in 1 starts of 1 steps")


def test_every_part_is_reached_by_the_tab_key(page):
    for name in ("text", "example", "steps", "starts", "pace", "solve", "clear"):
        tab_to(page, f"solver-{name}")
    press(page, "\ue004")
    assert page.switch_to.active_element.get_attribute("aria-label") == "Row 1, column 1"


def test_the_page_fits_a_phone(page):
    # Chromium's windows have a least width; this is what its tools for phones do.
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        width = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1] == 360
        assert cells(page)[0].size["width"] >= 30
        page.execute_script(
            "document.getElementById('solver-solve').scrollIntoView({block: 'center', behavior: 'instant'})"
        )
        page.find_element("id", "solver-solve").click()
        wait(page, "Solved after")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
