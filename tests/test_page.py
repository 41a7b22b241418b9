"""Does the interactive page compute what Keras computes, and can a reader use it? In a browser."""

import base64
import html
import io
import os
import re
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from selenium import webdriver
from selenium.webdriver import ActionChains, ChromeService, Keys
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OFFLINE = "host-resolver-rules=MAP * ~NOTFOUND"


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium that reaches no host; at the end its console holds no error."""
    programs = [path for path in map(shutil.which, BROWSERS) if path]
    driver = shutil.which("chromedriver")
    if not programs or not driver:
        complain = pytest.fail if os.environ.get("CI") else pytest.skip
        complain("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", OFFLINE):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=ChromeService(driver))
    yield browser
    log = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.quit()
    # nbconvert's own libraries cannot be reached
    assert [entry for entry in log if "ERR_NAME_NOT_RESOLVED" not in entry["message"]] == []


@pytest.fixture
def page(browser, lab, tmp_path):
    """The page of the execution, fresh."""
    resize(browser, 1000)
    (tmp_path / "page.html").write_text(lab.page, encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    return browser


def resize(browser, width, height=1000):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def painted(page, name):
    """Return the colours and opacity (height, width, 4) of a canvas, in [0, 1]."""
    png = page.execute_script(f"return element('{name}').toDataURL()").split(",")[1]
    return plt.imread(io.BytesIO(base64.b64decode(png)))


def ink(page, name):
    """Return how dark the pixels (28, 28) of a canvas are, in [0, 1]."""
    image = painted(page, name)
    return image[..., 3] * (1 - image[..., 0])


def status(page):
    return page.find_element(By.ID, "status").text


def numbers(text):
    """Return the numbers of a Polish text."""
    return [float(n.replace(",", ".").replace("−", "-")) for n in re.findall(r"−?\d+,\d+", text)]


def drag(page, name, places, pointer="mouse"):
    """Move the pressed mouse, or a finger, over an element: (right, down) shares of its size."""
    target = page.find_element(By.ID, name)
    page.execute_script("arguments[0].scrollIntoView({block: 'nearest'})", target)
    actions = ActionChains(page, duration=10, devices=[PointerInput(pointer, pointer)])
    size = [target.size["width"], target.size["height"]]
    for index, place in enumerate(places):
        x, y = (np.subtract(place, 0.5) * size).round().astype(int).tolist()
        actions.move_to_element_with_offset(target, x, y)
        if index == 0:
            actions.click_and_hold()
    actions.release().perform()


def place_in_plane(page, element):
    """Return the middle of an element as a code: −1 to 1 to the right and up."""
    plane, own = page.find_element(By.ID, "plane").rect, element.rect
    right = (own["x"] + own["width"] / 2 - plane["x"]) / plane["width"]
    down = (own["y"] + own["height"] / 2 - plane["y"]) / plane["height"]
    return 2 * right - 1, 1 - 2 * down


@pytest.mark.parametrize("pointer", ["mouse", "touch"])
def test_a_place_gives_kerass_image_and_probabilities(page, lab, pointer):
    for x, y in np.mgrid[0.1:1:0.4, 0.1:1:0.4].reshape(2, 9).T:
        drag(page, "plane", [(0.5, 0.5), (x, y)], pointer)
        exact = page.execute_script("return code")
        np.testing.assert_allclose(exact, [2 * x - 1, 1 - 2 * y], atol=0.01)
        np.testing.assert_allclose(numbers(status(page)), exact, atol=0.0006)
        image = lab.dec.predict(np.array([exact]))[0, ..., 0]
        np.testing.assert_allclose(ink(page, "output"), image.clip(0, 1), atol=0.015)
        shares = 100 * lab.classifier.predict(np.array([exact]))[0]
        for digit, row in enumerate(page.find_elements(By.CSS_SELECTOR, "#answers li")):
            assert row.text.startswith(f"{digit}: ")
            bar = float(row.value_of_css_property("background-size").split("%")[0])
            assert [*numbers(row.text), bar] == pytest.approx([shares[digit]] * 2, abs=0.3)
        assert status(page).endswith(f"Odpowiedź: {shares.argmax()}.")
        mark = page.find_element(By.ID, "mark")
        np.testing.assert_allclose(place_in_plane(page, mark), exact, atol=0.01)


def test_a_test_digit_has_kerass_code_and_its_error(page, lab):
    last = None
    for _ in range(8):
        page.find_element(By.ID, "sample").click()
        differences = np.abs(lab.x_test[:50, ..., 0] - ink(page, "input")).max(axis=(1, 2))
        index = differences.argmin()
        assert differences[index] < 0.005 and index != last
        last = index
        code = lab.enc.predict(lab.x_test[[index]])
        np.testing.assert_allclose(page.execute_script("return code"), code[0], atol=0.01)
        error = np.square(lab.dec.predict(code)[0] - lab.x_test[index]).mean()
        assert f"Cyfra testowa {lab.y_test[index]}, MSE" in status(page)
        assert numbers(status(page))[0] == pytest.approx(error, abs=0.001)


def test_the_plane_has_answers_as_background_and_codes_in_their_colours(page, lab):
    plane = painted(page, "plane")
    colours = np.array([to_rgb(colour) for colour in lab.COLOURS.colors])

    def at(codes):
        columns, rows = ((codes * [1, -1] + 1) * 400).astype(int).clip(1, 798).T
        return plane[rows, columns]

    places = (np.random.default_rng(0).integers(0, 100, (400, 2)) + 0.5) / 50 - 1
    found = at(places)
    background = found[:, 3] < 0.5  # dots are opaque
    nearest = np.abs(found[:, None, :3] - colours).sum(axis=2).argmin(axis=1)
    same = nearest == lab.classify(lab.classifier, places)
    assert background.sum() > 200 and same[background].mean() > 0.98
    codes, labels = lab.codes_test[::5], lab.y_test[::5]
    distances = np.linalg.norm(codes[:, None] - codes, axis=2) + 9 * np.eye(len(codes))
    alone = distances.min(axis=1) > 0.02
    assert alone.sum() > 50
    np.testing.assert_allclose(at(codes[alone])[:, :3], colours[labels[alone]], atol=0.02)


def test_digits_stand_at_their_places(page, lab):
    written = page.find_elements(By.CSS_SELECTOR, "#codes b:not(#mark)")
    assert [digit.text for digit in written] == list("0123456789")
    found = [place_in_plane(page, digit) for digit in written]
    np.testing.assert_allclose(found, lab.places, atol=0.02)


def test_a_drawing_gets_mnists_form(page):
    """A slanted bar far from the middle: 20 pixels high, centred by its mass, not mirrored."""
    for remove in (
        lambda: page.find_element(By.ID, "clear").click(),
        lambda: drag(page, "plane", [(0.25, 0.4)]),
    ):
        drag(page, "pad", [(0.6, 0.1), (0.8, 0.4)])
        image = ink(page, "input")
        assert 19 <= (image > 0.1).any(axis=1).sum() <= 21 and image.max() > 0.95
        centre = ((np.indices((28, 28)) + 0.5) * image).sum(axis=(1, 2)) / image.sum()
        np.testing.assert_allclose(centre, 14, atol=0.6)
        assert image[:14, :14].sum() > 2 * image[:14, 14:].sum()
        assert status(page).startswith("Twój rysunek, MSE")
        remove()
        assert not ink(page, "input").any() and "Bez wejścia" in status(page)
        assert not page.find_element(By.ID, "ink").get_attribute("d")
    drag(page, "pad", [(0.2, 0.2)])
    assert ink(page, "input").sum() > 5, "a dot is a drawing, too"


def test_keys_move_the_code_and_everything_has_a_name(page):
    for name in ("plane", "clear", "sample"):
        ActionChains(page).send_keys(Keys.TAB).perform()
        assert page.switch_to.active_element.get_attribute("id") == name
    page.find_element(By.ID, "plane").send_keys(
        Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, *[Keys.ARROW_DOWN] * 40
    )
    assert page.execute_script("return code") == [1 / 32, -1]
    assert page.find_element(By.TAG_NAME, "html").get_attribute("lang") == "pl"
    for image in page.find_elements(By.CSS_SELECTOR, "canvas, svg"):
        assert image.get_attribute("role") and len(image.get_attribute("aria-label")) > 10


@pytest.mark.parametrize("width", [320, 390, 700, 1000])
def test_the_page_fits_narrow_and_wide_screens(page, width):
    resize(page, width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    columns = {
        image.rect["x"] for image in page.find_elements(By.CSS_SELECTOR, "#plane, #pad, #input")
    }
    assert (len(columns) == 1) == (width < 620)
    for image in page.find_elements(By.CSS_SELECTOR, "canvas, svg"):
        assert image.rect["width"] > 80
        assert 0 <= image.rect["x"] <= width - image.rect["width"]


def test_the_file_is_the_page_in_the_frame_and_needs_no_network(lab):
    ((frame, _),) = lab.shown["page"]
    source = html.unescape(re.search(r'<iframe srcdoc="(.*?)"', frame.data, flags=re.S)[1])
    file = lab.folder / "lab7_models" / "eksplorator.html"
    assert source == lab.page == file.read_text(encoding="utf-8")
    assert "http" not in source


@pytest.mark.parametrize("data_name", ["MNIST", "dane zastępcze"])
def test_a_warning_says_that_the_data_are_not_mnist(browser, lab, tmp_path, monkeypatch, data_name):
    monkeypatch.setitem(lab.variables, "data_name", data_name)
    models = [lab.enc, lab.dec, lab.classifier]
    images = (lab.x_test[:3], lab.y_test[:3])
    source = lab.live_page(models, lab.codes_test[:9], lab.y_test[:9], lab.places, *images)
    (tmp_path / "page.html").write_text(source, encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    warning = browser.find_element(By.ID, "warning")
    assert warning.is_displayed() == (data_name != "MNIST")
    assert "to nie jest MNIST" in warning.get_attribute("textContent")


def test_saved_models_are_the_trained_ones(lab):
    for model in (lab.enc, lab.dec, lab.classifier):
        saved = lab.keras.models.load_model(lab.folder / "lab7_models" / f"{model.name}.keras")
        for weights, expected in zip(saved.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(weights, expected)


def test_the_stored_page_in_the_export(browser, exported):
    """Two drawn digits are recognised, and the frame is as high as what stands in it."""
    resize(browser, 1280, 1200)
    browser.get(exported.as_uri())
    frame = browser.find_element(By.CSS_SELECTOR, "iframe[srcdoc]")
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", frame)
    browser.switch_to.frame(frame)
    angles = np.linspace(0, 2 * np.pi, 25)
    ring = [(0.5 + 0.25 * np.sin(angle), 0.5 - 0.35 * np.cos(angle)) for angle in angles]
    for drawn, digit in [([(0.5, 0.15), (0.5, 0.85)], "1"), (ring, "0")]:
        drag(browser, "pad", drawn)
        assert status(browser).endswith(f"Odpowiedź: {digit}.")
        browser.find_element(By.ID, "clear").click()
    for width in (390, 700, 975, 1280):
        resize(browser, width, 1200)
        visible, content = browser.execute_async_script(
            """const root = document.documentElement;
            setTimeout(() => arguments[0]([innerHeight, root.offsetHeight]), 300)"""
        )
        assert content <= visible <= content + 3, f"at {width} pixels"


def test_the_export_fits_a_phone_and_paper(browser, exported):
    resize(browser, 390)
    browser.get(exported.as_uri())
    outside = """const scrolls = box => box && box !== document.body && (
            scrolls(box.parentElement) ||
            ["auto", "scroll"].includes(getComputedStyle(box).overflowX));
        return [...document.querySelectorAll("main *")].filter(
            box => box.getBoundingClientRect().right > 391 && !scrolls(box.parentElement)
        ).map(box => box.className)"""
    assert browser.execute_script(outside) == []
    resize(browser, 700)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    cut = """return [...document.querySelectorAll("main pre, main table, main img")].filter(
        box => box.scrollWidth > box.clientWidth + 1 && box.clientWidth
        ).map(box => box.textContent.slice(0, 80))"""
    found = browser.execute_script(cut)
    names = ("iframe", ".on-paper")
    shown = [browser.find_element(By.CSS_SELECTOR, name).is_displayed() for name in names]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert found == [] and shown == [False, True]
