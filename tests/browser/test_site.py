"""The built site in a browser: every page, every exploration, with and without JavaScript."""

import pathlib
import re

import pytest

SITE = pathlib.Path(__file__).parents[2] / "_build/html"
PAGES = sorted(str(path.relative_to(SITE)) for path in (SITE / "chapters").rglob("*.html"))
EXPLORATIONS = [(page, name) for page in PAGES
                for name in re.findall(r'<figure class="exploration" id="([^"]+)"', (SITE / page).read_text())]
DEGREE = ("chapters/multilayer-perceptrons/model-selection.html", "polynomial-degree")
KB = 1000

each_page = pytest.mark.parametrize("path", PAGES)
each_exploration = pytest.mark.parametrize("path, name", EXPLORATIONS, ids=[name for _, name in EXPLORATIONS])


class Exploration:
    """One exploration of an open page, as its reader handles it."""

    def __init__(self, page, name):
        self.page = page
        self.root = page.locator(f"figure.exploration#{name}")
        self.ranges = self.root.locator("input[type=range]")
        self.controls = self.root.locator("[data-parameter]")
        self.root.locator(".exploration-controls").wait_for()  # shown as soon as the script is ready

    def drawing(self):
        return self.root.locator(".exploration-frame g").first.inner_html()

    def sentence(self):
        return self.root.locator(".exploration-sentence").inner_text()

    def values(self):
        return self.controls.evaluate_all("all => all.map(c => c.type === 'checkbox' ? c.checked : c.value)")


@pytest.fixture
def open_page(browser, site):
    """Opens a page of the site; afterwards nothing may have failed, and nothing left the site."""
    contexts, problems = [], []

    def open_it(path, base=site, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: request.url.startswith((base, "data:")) or problems.append(request.url))
        page.on("response", lambda response: response.status < 400 or problems.append(f"{response.status} {response.url}"))
        page.on("console", lambda message: message.type == "error" and problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(base + path, wait_until="load")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not problems


@each_page
def test_a_page_opens_without_error_and_without_other_hosts(open_page, path):
    page = open_page(path)
    page.mouse.wheel(0, 20_000)
    page.wait_for_load_state("networkidle")


@each_page
@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_scrolls_sideways(open_page, path, width):
    page = open_page(path, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@each_page
def test_a_page_is_within_its_weight(open_page, path):
    """400 KB an exploration, 800 KB for text, mathematics, code and figures, 1.5 MB for what all pages share."""
    source = (SITE / path).read_text()
    explorations = re.findall(r'<figure class="exploration".*?</figure>', source, re.S)
    for exploration in explorations:
        assert len(exploration.encode()) <= 400 * KB
    assert len(source.encode()) - sum(map(len, explorations)) <= 800 * KB
    page = open_page(path)
    page.wait_for_load_state("networkidle")
    shared = page.evaluate("performance.getEntriesByType('resource').reduce((sum, entry) => sum + entry.decodedBodySize, 0)")
    assert shared <= 1500 * KB


def test_style_and_script_of_explorations_are_small():
    assert sum((SITE / "_static" / name).stat().st_size for name in ("exploration.js", "site.css")) < 15 * KB


@each_page
def test_pages_read_without_javascript(open_page, path):
    page = open_page(path, java_script_enabled=False)
    source = (SITE / path).read_text()
    assert page.locator(".katex").count() == source.count('class="katex"')
    assert not re.search(r"\\\(|\\\[|\$\$", page.locator("main").inner_text())
    for exploration in page.locator("figure.exploration").all():
        assert exploration.locator(".exploration-frame svg path").count() > 5
        assert exploration.locator(".exploration-controls").is_hidden()
        assert "With JavaScript" in exploration.locator(".exploration-still").inner_text()


def test_mathematics_is_drawn_without_javascript(open_page):
    page = open_page(DEGREE[0], java_script_enabled=False)
    assert page.locator(".katex-html").count() > 20
    assert page.evaluate("document.fonts.check('16px KaTeX_Main')")


@each_page
def test_every_figure_has_a_text_for_those_who_cannot_see_it(open_page, path):
    page = open_page(path)
    for figure in page.locator("main .d2l-figure, main .exploration-frame").all():
        name = figure.get_attribute("aria-label") or figure.get_attribute("aria-labelledby")
        assert figure.get_attribute("role") == "img" and name
    for image in page.locator("main img").all():
        assert image.get_attribute("alt")


@each_exploration
def test_keys_move_every_slider(open_page, path, name):
    exploration = Exploration(open_page(path), name)
    assert exploration.ranges.count() > 0
    for slider in exploration.ranges.all():
        last = slider.get_attribute("max")
        slider.focus()
        exploration.page.keyboard.press("Home")
        assert slider.input_value() == "0"
        first = exploration.drawing(), exploration.sentence()
        for _ in range(int(last)):
            exploration.page.keyboard.press("ArrowRight")
        assert slider.input_value() == last
        assert exploration.drawing() != first[0] and exploration.sentence() != first[1]
        exploration.page.keyboard.press("Home")
        assert (exploration.drawing(), exploration.sentence()) == first
        exploration.page.keyboard.press("End")
        assert slider.input_value() == last
        assert slider.get_attribute("aria-valuetext") == slider.locator("+ output").inner_text()


@each_exploration
def test_the_mouse_moves_every_control(open_page, path, name):
    exploration = Exploration(open_page(path), name)
    for slider in exploration.ranges.all():
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        before = exploration.drawing()
        y = box["y"] + box["height"] / 2
        exploration.page.mouse.move(box["x"] + box["width"] / 2, y)
        exploration.page.mouse.down()
        seen = set()
        for part in (0.02, 0.98):
            exploration.page.mouse.move(box["x"] + part * box["width"], y, steps=4)
            seen.add(exploration.drawing())
        exploration.page.mouse.up()
        assert len(seen | {before}) > 1
    for box in exploration.root.locator("input[type=checkbox]").all():
        before = exploration.drawing()
        box.click()
        assert exploration.drawing() != before
    for menu in exploration.root.locator("select").all():
        drawings = set()
        for option in menu.locator("option").all_inner_texts():
            menu.select_option(label=option)
            drawings.add(exploration.drawing())
        assert len(drawings) == menu.locator("option").count()


@each_exploration
def test_labels_name_the_controls(open_page, path, name):
    exploration = Exploration(open_page(path), name)
    for control in exploration.controls.all():
        label = exploration.root.locator(f"label[for='{control.get_attribute('id')}']").inner_text()
        assert label and exploration.root.get_by_label(label, exact=True).count() == 1
    assert exploration.root.locator("[aria-live=polite]").count() == 1


@each_exploration
@pytest.mark.parametrize("width", [375, 1280])
def test_no_value_moves_the_page(open_page, path, name, width):
    exploration = Exploration(open_page(path, viewport={"width": width, "height": 800}), name)

    def size():
        return exploration.root.evaluate("e => [e.offsetWidth, e.offsetHeight, ...[...e.querySelectorAll('svg, input')]"
                                         ".map(c => c.getBoundingClientRect().width)]")

    before = size()
    for slider in exploration.ranges.all():
        for index in range(int(slider.get_attribute("max")) + 1):
            slider.evaluate("(e, i) => { e.value = i; e.dispatchEvent(new Event('input', {bubbles: true})); }", index)
            assert size() == pytest.approx(before, abs=0.5)


@each_exploration
def test_reset_and_address_bring_a_state_back(open_page, path, name):
    page = open_page(path)
    exploration = Exploration(page, name)
    before = exploration.values(), exploration.drawing()
    for slider in exploration.ranges.all():
        slider.focus()
        page.keyboard.press("End" if slider.input_value() == "0" else "Home")
    moved = exploration.values(), exploration.drawing()
    page.wait_for_function("sliders => location.hash.split('=').length === sliders + 1", arg=exploration.ranges.count())
    again = Exploration(open_page(path + page.evaluate("location.hash")), name)
    assert (again.values(), again.drawing()) == moved
    exploration.root.get_by_role("button", name="Reset").click()
    assert (exploration.values(), exploration.drawing()) == before
    page.wait_for_function("location.hash === ''")


def test_bad_values_in_the_address_are_ignored(open_page):
    path, name = DEGREE
    default = Exploration(open_page(path), name).values()
    address = f"{path}#{name}.degree=99&{name}.examples=100&{name}.noise=<b>&nothing=1"
    values = Exploration(open_page(address), name).values()
    assert values == [default[0], "3", default[2]]


def test_an_address_typed_later_is_followed(open_page):
    page = open_page(DEGREE[0])
    exploration = Exploration(page, DEGREE[1])
    page.evaluate("location.hash = 'polynomial-degree.degree=12'")
    page.wait_for_function("document.querySelector('#polynomial-degree input').value === '12'")
    assert "Degree 12" in exploration.sentence()


def test_sliders_combine_and_explorations_are_independent(open_page):
    path, name = DEGREE
    page = open_page(path)
    exploration, other = Exploration(page, name), Exploration(page, "cross-validation")
    untouched = other.drawing(), other.values()
    exploration.ranges.nth(0).fill("15")
    exploration.ranges.nth(1).fill("3")
    assert "Degree 15 on 100 points" in exploration.sentence()
    assert (other.drawing(), other.values()) == untouched


def test_play_steps_through_the_first_slider_until_paused(open_page):
    page = open_page(DEGREE[0])
    page.clock.install()
    exploration = Exploration(page, DEGREE[1])
    start = int(exploration.ranges.first.input_value())
    exploration.root.get_by_role("button", name="Play").click()
    page.clock.run_for(1900)
    assert int(exploration.ranges.first.input_value()) == start + 3
    exploration.root.get_by_role("button", name="Pause").click()
    page.clock.run_for(5000)
    assert int(exploration.ranges.first.input_value()) == start + 3
    assert exploration.root.get_by_role("button", name="Play").count() == 1


def test_fingers_move_a_slider(open_page):
    page = open_page(DEGREE[0], viewport={"width": 375, "height": 800}, has_touch=True)
    exploration = Exploration(page, DEGREE[1])
    slider = exploration.ranges.first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box["height"] >= 36
    page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    assert int(slider.input_value()) >= 13


def test_figures_follow_the_dark_theme_without_reloading(open_page):
    page = open_page(DEGREE[0])
    ink = "getComputedStyle(document.querySelector('#polynomial-degree text')).fill"
    light = page.evaluate(ink)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate(ink) != light


def test_small_text_is_large_enough_on_a_phone(open_page):
    page = open_page(DEGREE[0], viewport={"width": 375, "height": 800})
    assert page.locator("#polynomial-degree text").first.evaluate(
        "t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a") >= 9


def test_print_shows_the_default_frame(open_page):
    page = open_page(DEGREE[0])
    exploration = Exploration(page, DEGREE[1])
    default = exploration.drawing()
    exploration.ranges.first.fill("15")
    moved = exploration.drawing()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert exploration.drawing() == default
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert exploration.drawing() == moved
    page.emulate_media(media="print")
    assert exploration.root.locator(".exploration-controls").is_hidden()


def test_the_site_works_from_a_folder(open_page):
    """Unpacked in a classroom without internet: no server at all."""
    page = open_page(DEGREE[0], base=SITE.as_uri() + "/")
    exploration = Exploration(page, DEGREE[1])
    exploration.ranges.first.fill("12")
    assert "Degree 12" in exploration.sentence()


def test_a_visitor_meets_an_exploration_at_once(open_page):
    page = open_page("index.html")
    page.wait_for_url("**/chapters/index.html")
    box = page.locator("figure.exploration input[type=range]").first.bounding_box()
    assert box["y"] < 900, "the first slider should be on the first screen"
