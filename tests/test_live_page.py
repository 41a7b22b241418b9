"""Does the interactive page compute what Keras computes, and can a reader use it? In a real browser, offline."""
import base64
import html
import io
import json
import os
import re
import shutil

import keras
import matplotlib
import numpy as np
import pytest
from nbconvert import HTMLExporter
from PIL import Image
from selenium import webdriver
from selenium.webdriver import ActionChains, ChromeService, Keys
from selenium.webdriver.common.by import By

from conftest import ROOT


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium that reaches no host."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    driver = shutil.which("chromedriver")
    if not program or not driver:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking",
                     "disable-dev-shm-usage", "host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument("--" + argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=ChromeService(driver))
    yield browser
    browser.quit()


def resize(browser, width, height=1000):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})


def element(browser, name):
    return browser.find_element(By.ID, name)


def painted(browser, canvas):
    """Return the colours (height, width, 3) of a canvas, which a JavaScript expression gives."""
    png = browser.execute_script(f"return {canvas}.toDataURL()").split(",")[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(int)


def pixels(browser, name):
    """Return the red channel of a canvas, at its own resolution, as a vector."""
    return painted(browser, f"element('{name}')")[..., 0].ravel()


def code(browser):
    return [float(number.replace(",", ".")) for number in element(browser, "code").text.split("; ")]


def digit(browser):
    return int(element(browser, "classes").get_attribute("data-digit"))


def drag(browser, name, places):
    """Move the pressed mouse over an element, through places given as shares of its width and height."""
    target = element(browser, name)
    browser.execute_script("arguments[0].scrollIntoView({block: 'nearest'})", target)
    actions = ActionChains(browser, duration=10)
    for index, place in enumerate(places):
        x, y = (np.subtract(place, 0.5) * [target.size["width"], target.size["height"]]).round().astype(int).tolist()
        actions.move_to_element_with_offset(target, x, y)
        index or actions.click_and_hold()
    actions.release().perform()


@pytest.fixture
def quiet(browser):
    """The browser; at the end its console holds no error, libraries that nbconvert looks for on the network apart."""
    browser.get_log("browser")
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")
            if entry["level"] == "SEVERE" and "ERR_NAME_NOT_RESOLVED" not in entry["message"]] == []


RING = [(0.5 + 0.25 * np.sin(angle), 0.5 - 0.35 * np.cos(angle)) for angle in np.linspace(0, 2 * np.pi, 25)]
STROKE = [(0.5, y) for y in np.linspace(0.15, 0.85, 10)]


@pytest.fixture(scope="module")
def content():
    """Codes of ten digits, each written at its code, twelve images and a few errors."""
    rng = np.random.default_rng(6)
    square = np.pad(rng.integers(0, 256, (12, 12, 12, 1)), ((0, 0), (0, 16), (0, 16), (0, 0))) / 255
    images = np.array([np.roll(image, shift, (0, 1)) for image, shift in zip(square, rng.integers(0, 16, (12, 2)))])
    codes = rng.permutation(np.mgrid[-0.75:1:0.5, -0.75:1:0.5].reshape(2, 16).T)[:10]
    codes = (codes + rng.uniform(-0.15, 0.15, (10, 2))).astype("float32")  # room for ten written digits
    labels = rng.permutation(10).astype("uint8")
    return {"codes": codes, "labels": labels, "places": codes[np.argsort(labels)],
            "images": images.astype("float32"), "image_labels": rng.integers(0, 10, 12).astype("uint8"),
            "errors": np.linspace(0, 0.2, 1_001)}


@pytest.fixture(scope="module")
def models(run, content):
    """An encoder, a decoder and a classifier with random weights; the codes of content's images spread widely."""
    rng = np.random.default_rng(5)
    models = run.encoder(2), run.decoder(2), keras.Sequential([
        keras.Input((2,)), *(keras.layers.Dense(50, "relu") for _ in range(2)), keras.layers.Dense(10, "softmax")
    ], name="classifier")
    for model in models:
        model.set_weights([rng.normal(0, 1.5 / np.sqrt(len(weight)) if weight.ndim == 2 else 0.3, weight.shape)
                           for weight in model.get_weights()])
    *hidden, kernel, bias = models[0].get_weights()
    sums = np.arctanh(np.asarray(models[0](content["images"]), "float64").clip(-0.999999, 0.999999))
    spread = 0.8 / sums.std(axis=0)
    models[0].set_weights([*hidden, kernel * spread, (bias - sums.mean(axis=0)) * spread])
    return models


def write_page(run, models, content, folder, data_name="MNIST"):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(run.space, "data_name", data_name)
        (folder / "page.html").write_text(run.live_page(models, **content), encoding="utf-8")
    return (folder / "page.html").as_uri()


@pytest.fixture
def page(quiet, run, models, content, tmp_path):
    """The page of the random models, fresh."""
    resize(quiet, 1000)
    quiet.get(write_page(run, models, content, tmp_path))
    return quiet


def test_nine_places_against_keras(page, models):
    _, dec, classifier = models
    for x, y in np.mgrid[0.1:1:0.4, 0.1:1:0.4].reshape(2, 9).T:
        drag(page, "plane", [(x, y)])
        np.testing.assert_allclose(code(page), [2 * x - 1, 1 - 2 * y], atol=0.01)
        exact = np.array([page.execute_script("return code")], "float32")
        expected = 255 * (1 - np.clip(np.asarray(dec(exact)).ravel(), 0, 1))
        np.testing.assert_allclose(pixels(page, "decoded"), expected, atol=3)
        answer = np.asarray(classifier(exact))[0]
        assert digit(page) == answer.argmax()
        rows = page.find_elements(By.CSS_SELECTOR, "#classes li")
        shares = [re.fullmatch(r"(\d)\s+([\d,]+)%", row.text).groups() for row in rows]
        assert [number for number, _ in shares] == list("0123456789")
        np.testing.assert_allclose([float(share.replace(",", ".")) for _, share in shares], 100 * answer, atol=0.3)
        bars = [row.find_element(By.TAG_NAME, "i").size["width"] for row in rows]
        np.testing.assert_allclose(np.divide(bars, bars[digit(page)]), answer / answer.max(), atol=0.03)


def test_images_against_keras(page, models, content):
    """The button shows another test image each time, its code, its label and how bad its reconstruction is."""
    enc, dec, _ = models
    codes, last = np.asarray(enc(content["images"])), None
    assert codes.std(axis=0).min() > 0.1
    for _ in range(10):
        element(page, "sample").click()
        differences = np.abs(255 - 255 * content["images"].reshape(12, -1) - pixels(page, "input")).max(axis=1)
        index = differences.argmin()
        assert differences[index] < 1 and index != last
        last = index
        np.testing.assert_allclose(code(page), codes[index], atol=0.01)
        error = np.square(np.asarray(dec(codes[index:index + 1]))[0] - content["images"][index]).mean()
        found = re.fullmatch(r"Cyfra testowa: (\d)\. MSE ([\d,]+): gorzej niż (\d+)% cyfr testowych\.",
                             element(page, "comparison").text)
        assert int(found[1]) == content["image_labels"][index]
        assert float(found[2].replace(",", ".")) == pytest.approx(error, abs=0.003)
        assert int(found[3]) == pytest.approx(100 * np.mean(content["errors"] < error), abs=2)


def test_plane_shows_regions_codes_and_the_mark(page, models, content, run):
    """The colour of 400 places is the classifier's answer there, and at each code lies its label's colour."""
    colours = np.array([matplotlib.colors.to_rgb(colour) for colour in run.COLOURS.colors]) * 255
    background = painted(page, "background")
    places = (np.random.default_rng(0).integers(0, 140, (400, 2)) + 0.5) / 140  # middles of cells, from the top left
    found = background[(840 * places[:, 1]).astype(int), (840 * places[:, 0]).astype(int)]
    distance = np.abs(found[:, None] - (255 * 0.65 + 0.35 * colours)).sum(axis=2)
    clear = distance.min(axis=1) < 8  # no code
    expected = np.asarray(models[2]((places * [2, -2] + [-1, 1]).astype("float32"))).argmax(axis=1)
    assert clear.sum() > 300 and np.array_equal(distance.argmin(axis=1)[clear], expected[clear])
    for (z1, z2), label in zip(content["codes"], content["labels"]):
        assert np.abs(background[int((1 - z2) / 2 * 840), int((z1 + 1) / 2 * 840)] - colours[label]).max() < 1
    page.execute_script("useCode(0.5, -0.25)")
    assert (painted(page, "plane")[525, 630 + 16] == 0).all()  # the ring's black


def test_the_mark_covers_no_digit(page, content):
    """Ten digits are written at their places; those within 46 of the mark, in 840th parts, are pushed away."""
    places = (content["places"] * [1, -1] + 1) * 420
    for digit, own in enumerate(places):
        written = np.array(page.execute_script("""const written = [], pen = CanvasRenderingContext2D.prototype,
            draw = pen.fillText;
            pen.fillText = (text, x, y) => written.push([Number(text), x, y]);
            useCode(...data.places[arguments[0]]);
            pen.fillText = draw;
            return written""", digit))
        far = np.hypot(*(places - own).T) > 50
        assert written[:, 0].tolist() == list(range(10)) and far.sum() > 5
        assert np.hypot(*(written[:, 1:] - own).T).min() > 40
        np.testing.assert_allclose(written[far, 1:], places[far], atol=0.01)


def test_a_passing_mouse_changes_nothing(page):
    page.execute_script("useTestImage(3)")
    own = code(page)
    for name in ("plane", "drawing"):
        ActionChains(page, duration=10).move_to_element(element(page, name)).move_by_offset(30, 20).perform()
        assert code(page) == own and (pixels(page, "drawing") == 255).all(), name


@pytest.mark.parametrize("places", [STROKE, [(0.01, 0.01)], [(0.9, 0.5), (1.2, 0.4)]])
def test_pad_and_input_agree(page, places):
    """Every drawing, also a dot or over the edge, has an input; an empty pad and a code from the plane have none."""
    for remove in (lambda: element(page, "clear").click(), lambda: drag(page, "plane", [(0.25, 0.4)])):
        drag(page, "drawing", places)
        assert (pixels(page, "drawing") == 0).any() and (pixels(page, "input") < 128).sum() > 5
        remove()
        assert (pixels(page, "drawing") == 255).all() and (pixels(page, "input") == 255).all()
        assert "wejścia nie ma" in element(page, "comparison").text


def test_finger_moves_the_code(page):
    box = element(page, "plane").rect
    for kind, x, y in [("touchStart", 0.5, 0.5), ("touchMove", 0.75, 0.9)]:
        point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    np.testing.assert_allclose(code(page), [0.5, -0.8], atol=0.01)
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.execute_script("return scrollY") == 0


def test_drawing_gets_mnists_form(page):
    """A slanted bar far from the middle: 20 pixels high, centred by its mass, grey at the edges, not mirrored."""
    drag(page, "drawing", [(0.6, 0.1), (0.8, 0.4)])
    image = 1 - pixels(page, "input").reshape(28, 28) / 255
    assert 19 <= (image > 0.1).any(axis=1).sum() <= 21
    centre = ((np.indices((28, 28)) + 0.5) * image).sum(axis=(1, 2)) / image.sum()
    np.testing.assert_allclose(centre, 14, atol=0.1)
    assert ((image > 0.1) & (image < 0.9)).sum() > 10 and image.max() == 1
    assert element(page, "comparison").text.startswith("Twój rysunek. MSE")


def test_keyboard_alone(page):
    """Tab reaches everything; arrows move the code and, with the space bar down, draw."""
    for name in ("plane", "drawing", "clear", "sample"):
        ActionChains(page).send_keys(Keys.TAB).perform()
        assert page.switch_to.active_element.get_attribute("id") == name
    page.execute_script("useCode(0, 0)")
    plane, pad = element(page, "plane"), element(page, "drawing")
    plane.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP)
    assert element(page, "code").text == "0,040; 0,020"
    plane.send_keys(Keys.SHIFT, Keys.ARROW_LEFT, *[Keys.ARROW_DOWN] * 20)
    assert code(page) == [-0.06, -1]
    pad.send_keys(*[Keys.ARROW_UP] * 5)
    assert (pixels(page, "drawing") == 255).all()
    pad.send_keys(Keys.SPACE, *[Keys.ARROW_DOWN] * 10)
    rows, columns = np.nonzero(pixels(page, "input").reshape(28, 28) < 128)
    assert np.ptp(rows) > 2 * np.ptp(columns) > 0
    pad.send_keys(Keys.SPACE, Keys.ARROW_RIGHT, Keys.SPACE)
    element(page, "clear").send_keys(Keys.ENTER)
    pad.send_keys(*[Keys.ARROW_RIGHT] * 3)  # clearing lifts the pen
    assert (pixels(page, "drawing") == 255).all()
    element(page, "sample").send_keys(Keys.SPACE)
    assert "Cyfra testowa" in element(page, "comparison").text


@pytest.mark.parametrize("width", [390, 700, 1000])
def test_everything_has_a_name_and_fits(page, width):
    resize(page, width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    for canvas in page.find_elements(By.TAG_NAME, "canvas"):
        assert len(canvas.get_attribute("aria-label")) > 10 and canvas.get_attribute("role")
        assert canvas.rect["width"] > 80 and 0 <= canvas.rect["x"] <= width - canvas.rect["width"]
    assert all(button.text for button in page.find_elements(By.TAG_NAME, "button"))
    assert page.find_element(By.TAG_NAME, "html").get_attribute("lang") == "pl"


@pytest.mark.parametrize("theme, sign", [("light", -1), ("dark", 1)])
def test_themes(page, theme, sign):
    media = [{"name": "prefers-color-scheme", "value": theme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    ink, paper = [np.mean([int(part) for part in re.findall(r"\d+", colour)[:3]]) for colour in page.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]")]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert sign * (ink - paper) > 120


def test_stand_in_warning(browser, run, models, content, tmp_path):
    for data_name in ("MNIST", "dane zastępcze"):
        browser.get(write_page(run, models, content, tmp_path, data_name))
        assert element(browser, "warning").is_displayed() == (data_name != "MNIST")
    assert "to nie jest MNIST" in element(browser, "warning").text


def test_file_and_frame_are_the_same_page(run):
    (frame, _), = run.shown["page"]
    source = html.unescape(re.search(r'<iframe srcdoc="(.*?)"', frame.data, flags=re.S)[1])
    assert source == (run.folder / "lab7_models" / "eksplorator.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', source, flags=re.S)[1])
    assert data["mnist"] == (run.data_name == "MNIST") and len(data["images"]) == 50
    assert data["imageLabels"] == run.y_test[:50].tolist() and data["labels"] == run.y_test[::5].tolist()
    assert len(data["labels"]) == len(data["codes"]) * 3 // 4 // 4  # two numbers of two bytes each
    assert data["percentiles"][49] == pytest.approx(np.median(run.test_errors["autoenkoder"]))
    assert "http" not in source.replace("http://www.w3.org", "")

@pytest.fixture(scope="module")
def exported(notebook, tmp_path_factory):
    """The notebook with its stored outputs, exported as the README says."""
    exporter = HTMLExporter(embed_images=True, template_name="page", extra_template_basedirs=[str(ROOT / "tests")])
    path = tmp_path_factory.mktemp("export") / "lab7.html"
    path.write_text(exporter.from_notebook_node(notebook)[0], encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def stored(quiet, exported):
    """The page in its frame in the exported notebook; the window is high enough to show it whole."""
    resize(quiet, 1280, 1200)
    quiet.get(exported)
    frame = quiet.find_element(By.CSS_SELECTOR, "iframe[srcdoc]")
    quiet.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", frame)
    quiet.switch_to.frame(frame)
    yield quiet
    quiet.switch_to.default_content()


def test_drawings_on_the_stored_page(stored):
    """Two digits are recognised; a letter M is worse than most digits, as the page says."""
    assert stored.execute_script("return data.mnist && data.labels.length") == 2_000
    for drawn, expected in [(STROKE, 1), (RING, 0)]:
        drag(stored, "drawing", drawn)
        assert digit(stored) == expected
        element(stored, "clear").click()
    drag(stored, "drawing", [(0.15, 0.85), (0.15, 0.15), (0.5, 0.7), (0.85, 0.15), (0.85, 0.85)])
    assert int(re.search(r"gorzej niż (\d+)%", element(stored, "comparison").text)[1]) > 80


def test_frame_fits_its_content(stored):
    """At every width: no scroll bar in the frame, nothing cut off below, no empty space."""
    for width in (390, 520, 700, 830, 960, 975, 1280):
        resize(stored, width, 1200)
        inner, content, usable, needed, height = stored.execute_async_script("""const root = document.documentElement;
            setTimeout(() => arguments[0]([innerWidth, document.body.offsetHeight, root.clientWidth,
                                           root.scrollWidth, innerHeight]), 300)""")
        assert inner == usable >= needed and content <= height <= content + 2, width


def test_exported_notebook_fits_a_phone_and_paper(browser, exported):
    """At 390 pixels nothing runs out sideways, except inside a box that scrolls; on paper nothing scrolls."""
    resize(browser, 390)
    browser.get(exported)
    outside = """const scrolls = box => box && box !== document.body && (scrolls(box.parentElement) ||
            ["auto", "scroll"].includes(getComputedStyle(box).overflowX));
        return [...document.querySelectorAll("main *")].filter(box => box.getBoundingClientRect().right > 391
            && !scrolls(box.parentElement)).map(box => box.className)"""
    assert browser.execute_script(outside) == []
    resize(browser, 700)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    cut = browser.execute_script("""return [...document.querySelectorAll("main pre, main table, main img")].filter(
        box => box.scrollWidth > box.clientWidth + 1 && box.clientWidth).map(box => box.textContent.slice(0, 80))""")
    shown = [browser.find_element(By.CSS_SELECTOR, name).is_displayed() for name in ("iframe", ".on-paper")]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert cut == [] and shown == [False, True]
