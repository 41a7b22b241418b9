"""Does the interactive page compute what Keras computes, and can a reader use it? In a real browser, offline."""
import base64
import html
import io
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver import ActionChains, ChromeService, Keys
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By

from reading import COLOURS, answers, call, distances, number, once_more


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium that reaches no host; at the end its console holds no error."""
    programs = [path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")) if path]
    driver = shutil.which("chromedriver")
    if not programs or not driver:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking",
                     "disable-dev-shm-usage", "host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument("--" + argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=ChromeService(driver))
    yield browser
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.quit()
    assert [error for error in errors if "ERR_NAME_NOT_RESOLVED" not in error] == []  # nbconvert's libraries apart


def resize(browser, width, height=1000):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})


def element(browser, name):
    return browser.find_element(By.ID, name)


def painted(browser, canvas):
    """Return the colours (height, width, 3), 0 to 255, of a canvas, which a JavaScript expression gives."""
    png = browser.execute_script(f"return {canvas}.toDataURL()").split(",")[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(int)


def ink(browser, name):
    """Return how dark the pixels of a canvas are, in [0, 1]."""
    return 1 - painted(browser, f"element('{name}')")[..., 0] / 255


def drag(browser, name, places, pointer="mouse"):
    """Move the pressed mouse, or a finger, over an element: through places given as shares of its width and height."""
    target = element(browser, name)
    browser.execute_script("arguments[0].scrollIntoView({block: 'nearest'})", target)
    actions = ActionChains(browser, duration=10, devices=[PointerInput(pointer, pointer)])
    for index, place in enumerate(places):
        x, y = (np.subtract(place, 0.5) * [target.size["width"], target.size["height"]]).round().astype(int).tolist()
        actions.move_to_element_with_offset(target, x, y)
        index or actions.click_and_hold()
    actions.release().perform()


@pytest.fixture
def page(browser, run, tmp_path):
    """The page of the run, fresh."""
    resize(browser, 1000)
    (tmp_path / "page.html").write_text(run.page, encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    return browser


@pytest.mark.parametrize("pointer", ["mouse", "touch"])
def test_places_against_keras(page, run, pointer):
    """The code, the decoded image, the ten probabilities, their bars and the answer."""
    for x, y in np.mgrid[0.1:1:0.4, 0.1:1:0.4].reshape(2, 9).T:
        drag(page, "plane", [(0.5, 0.5), (x, y)], pointer)
        shown = [number(text) for text in element(page, "code").text.split("; ")]
        np.testing.assert_allclose(shown, [2 * x - 1, 1 - 2 * y], atol=0.01)
        exact = [page.execute_script("return code")]
        np.testing.assert_allclose(ink(page, "decoded"), call(run.dec, exact)[0, ..., 0].clip(0, 1), atol=0.015)
        answer = call(run.classifier, exact)[0]
        rows = page.find_elements(By.CSS_SELECTOR, "#classes li")
        shares = [re.fullmatch(r"(\d)\s+([\d,]+)%", row.text).groups() for row in rows]
        assert [digit for digit, _ in shares] == list("0123456789")
        np.testing.assert_allclose([number(share) for _, share in shares], 100 * answer, atol=0.5)
        bars = [row.find_element(By.TAG_NAME, "i").size["width"] for row in rows]
        np.testing.assert_allclose(np.divide(bars, max(bars)), answer / answer.max(), atol=0.03)
        assert ["best" in row.get_attribute("class") for row in rows] == (answer == answer.max()).tolist()


def test_images_against_keras(page, run):
    """The button shows another test image each time, its code, its label and how bad its reconstruction is."""
    last = None
    for _ in range(10):
        element(page, "sample").click()
        differences = np.abs(run.x_test[:50, ..., 0] - ink(page, "input")).max(axis=(1, 2))
        index = differences.argmin()
        assert differences[index] < 0.004 and index != last
        last = index
        own = page.execute_script("return code")
        np.testing.assert_allclose(own, call(run.enc, run.x_test[[index]])[0], atol=0.01)
        error = np.square(call(run.ae_model, run.x_test[[index]])[0] - run.x_test[index]).mean()
        found = re.fullmatch(r"Cyfra testowa: (\d)\. MSE ([\d,]+): gorzej niż (\d+)% cyfr testowych\.",
                             element(page, "comparison").text)
        assert int(found[1]) == run.y_test[index] and number(found[2]) == pytest.approx(error, abs=0.001)
        better = 100 * np.mean(run.test_errors["autoenkoder"] < error)
        assert better - 1.1 < int(found[3]) < better + 0.1  # rounded down


def test_plane_of_the_page(page, run):
    """The colour of 400 places is the classifier's answer there, and at each code lies its label's colour."""
    background = painted(page, "background")
    places = (np.random.default_rng(0).integers(0, 140, (400, 2)) + 0.5) / 140  # middles of cells, from the top left
    found = background[(840 * places[:, 1]).astype(int), (840 * places[:, 0]).astype(int)]
    gaps = np.abs(found[:, None] - 255 * (0.65 + 0.35 * COLOURS)).sum(axis=2)
    clear = gaps.min(axis=1) < 8  # no code
    expected = answers(run.classifier, places * [2, -2] + [-1, 1])
    assert clear.sum() > 200 and np.array_equal(gaps.argmin(axis=1)[clear], expected[clear])
    codes, labels = run.codes_test[::5], run.y_test[::5]
    alone = np.sort(distances(codes, codes), axis=1)[:, 1] > 0.02
    columns, rows = (((codes[alone] * [1, -1] + 1) * 420).astype(int).clip(1, 838)).T
    assert alone.sum() > 100
    np.testing.assert_allclose(background[rows, columns], 255 * COLOURS[labels[alone]], atol=1)
    written = page.execute_script("""const written = [], pen = CanvasRenderingContext2D.prototype, draw = pen.fillText;
        pen.fillText = (text, x, y) => written.push([Number(text), x, y]);
        useCode(...data.places[0]);
        pen.fillText = draw;
        return written""")
    places = (run.places * [1, -1] + 1) * 420
    np.testing.assert_allclose(written, [[digit, *place] for digit, place in enumerate(places)], atol=50)
    assert distances(places[0], written[0][1:]) > 40  # a digit under the mark is pushed away
    page.execute_script("useCode(0.5, -0.25)")
    assert (painted(page, "plane")[525, 630 + 16] == 0).all()  # the ring's black


def test_drawing_is_the_input_in_mnists_form(page):
    """A slanted bar far from the middle: 20 pixels high, centred by its mass, grey at the edges, not mirrored. Moving
    alone draws nothing; pad and input are emptied together."""
    ActionChains(page, duration=10).move_to_element(element(page, "drawing")).move_by_offset(30, 20).perform()
    assert not ink(page, "drawing").any()
    for remove in (lambda: element(page, "clear").click(), lambda: drag(page, "plane", [(0.25, 0.4)])):
        drag(page, "drawing", [(0.6, 0.1), (0.8, 0.4)])
        image = ink(page, "input")
        assert 19 <= (image > 0.1).any(axis=1).sum() <= 21 and image.max() == 1
        centre = ((np.indices((28, 28)) + 0.5) * image).sum(axis=(1, 2)) / image.sum()
        np.testing.assert_allclose(centre, 14, atol=0.1)
        assert ((image > 0.1) & (image < 0.9)).sum() > 10 and image[:14, :14].sum() > 2 * image[:14, 14:].sum()
        assert element(page, "comparison").text.startswith("Twój rysunek. MSE")
        remove()
        assert not ink(page, "drawing").any() and not ink(page, "input").any()
        assert "wejścia nie ma" in element(page, "comparison").text
    drag(page, "drawing", [(0.01, 0.01)])
    assert ink(page, "input").sum() > 5  # a dot is a drawing, too


def test_keyboard_and_names(page):
    """Tab reaches everything; arrows move the code and, with the space bar down, draw. All has a name and fits."""
    keys = {"plane": [Keys.ARROW_RIGHT, Keys.SHIFT, Keys.ARROW_LEFT, *[Keys.ARROW_DOWN] * 20],
            "drawing": [Keys.ARROW_UP, Keys.SPACE, *[Keys.ARROW_DOWN] * 10], "clear": [], "sample": []}
    for name, own in keys.items():
        ActionChains(page).send_keys(Keys.TAB).perform()
        assert page.switch_to.active_element.get_attribute("id") == name
        page.switch_to.active_element.send_keys(*own)
        if name == "plane":
            assert element(page, "code").text == "−0,080; −1,000"
    rows, columns = np.nonzero(ink(page, "input") > 0.5)
    assert np.ptp(rows) > 2 * np.ptp(columns) > 0
    assert page.find_element(By.TAG_NAME, "html").get_attribute("lang") == "pl"
    assert all(button.text for button in page.find_elements(By.TAG_NAME, "button"))
    for width, theme in [(390, "dark"), (700, "light"), (1000, "light")]:
        resize(page, width)
        media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        style = page.execute_script("const s = getComputedStyle(document.body); return s.color + s.background")
        text, paper = [int(red) for red in re.findall(r"rgb\((\d+)", style)]
        assert (text > paper + 120) if theme == "dark" else (paper > text + 120)
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        for canvas in page.find_elements(By.TAG_NAME, "canvas"):
            assert len(canvas.get_attribute("aria-label")) > 10 and canvas.get_attribute("role")
            assert canvas.rect["width"] > 80 and 0 <= canvas.rect["x"] <= width - canvas.rect["width"]


def test_file_frame_and_warning(page, run, tmp_path, monkeypatch):
    """The file is the page in the frame, and both say whether the data are MNIST."""
    (frame, _), = run.shown["page"]
    source = html.unescape(re.search(r'<iframe srcdoc="(.*?)"', frame.data, flags=re.S)[1])
    assert source == run.page == (run.folder / "lab7_models" / "eksplorator.html").read_text(encoding="utf-8")
    assert "http" not in source.replace("http://www.w3.org", "")
    for data_name in ("MNIST", "dane zastępcze"):
        monkeypatch.setitem(run.space, "data_name", data_name)
        (tmp_path / "page.html").write_text(once_more(run, "page")["page"], encoding="utf-8")
        page.refresh()
        assert ("to nie jest MNIST" in element(page, "warning").text) == (data_name != "MNIST")  # "" where hidden


def test_stored_page(browser, exported):
    """Two digits are recognised; a letter M is worse than most digits, as the page says. The frame fits at every width:
    no scroll bar, nothing cut off below, no empty space."""
    resize(browser, 1280, 1200)  # high enough to show it whole
    browser.get(exported.as_uri())
    frame = browser.find_element(By.CSS_SELECTOR, "iframe[srcdoc]")
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", frame)
    browser.switch_to.frame(frame)
    assert browser.execute_script("return data.mnist && data.labels.length") == 2_000
    ring = [(0.5 + 0.25 * np.sin(angle), 0.5 - 0.35 * np.cos(angle)) for angle in np.linspace(0, 2 * np.pi, 25)]
    for drawn, expected in [([(0.5, 0.15), (0.5, 0.85)], "1"), (ring, "0")]:
        drag(browser, "drawing", drawn)
        assert browser.find_element(By.CSS_SELECTOR, "#classes li.best").text[0] == expected
        element(browser, "clear").click()
    drag(browser, "drawing", [(0.15, 0.85), (0.15, 0.15), (0.5, 0.7), (0.85, 0.15), (0.85, 0.85)])
    assert int(re.search(r"gorzej niż (\d+)%", element(browser, "comparison").text)[1]) > 80
    for width in (390, 700, 975, 1280):
        resize(browser, width, 1200)
        inner, content, usable, needed, height = browser.execute_async_script("""const root = document.documentElement;
            setTimeout(() => arguments[0]([innerWidth, document.body.offsetHeight, root.clientWidth,
                                           root.scrollWidth, innerHeight]), 300)""")
        assert inner == usable >= needed and content <= height <= content + 2, width


def test_exported_notebook_fits_a_phone_and_paper(browser, exported):
    """At 390 pixels nothing runs out sideways, except inside a box that scrolls; on paper nothing scrolls."""
    resize(browser, 390)
    browser.get(exported.as_uri())
    assert browser.execute_script("""const scrolls = box => box && box !== document.body && (
            scrolls(box.parentElement) || ["auto", "scroll"].includes(getComputedStyle(box).overflowX));
        return [...document.querySelectorAll("main *")].filter(box => box.getBoundingClientRect().right > 391
            && !scrolls(box.parentElement)).map(box => box.className)""") == []
    resize(browser, 700)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    cut = browser.execute_script("""return [...document.querySelectorAll("main pre, main table, main img")].filter(
        box => box.scrollWidth > box.clientWidth + 1 && box.clientWidth).map(box => box.textContent.slice(0, 80))""")
    shown = [browser.find_element(By.CSS_SELECTOR, name).is_displayed() for name in ("iframe", ".on-paper")]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert cut == [] and shown == [False, True]
