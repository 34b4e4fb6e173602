"""The two faces of an exploration, without a browser."""

import base64
import doctest
import gzip
import json
import re
import sys

import nbconvert
import nbformat
import pytest
from ipywidgets import (Checkbox, Dropdown, FloatLogSlider, FloatSlider, HTML, IntSlider, SelectionSlider, Text)

import d2l

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("D2L_CACHE", str(tmp_path))


def line(slope, shift):
    figure, [axes] = d2l.panels()
    d2l.curves(axes, [0, 1], {"line": [shift, slope + shift]}, xlabel="x", ylabel="y", ylim=(-9, 9))
    return figure, f"slope {slope}, shift {shift}"


def lines(**options):
    controls = {"slope": IntSlider(2, min=0, max=4), "shift": Checkbox(False, description="shifted")}
    return d2l.explore(line, **{"units": {"slope": "m/s"}, **controls, **options})


def frames_of(page):
    data = json.loads(re.search(r'exploration-data">(.*?)</script>', page, re.S)[1])
    return data, json.loads(gzip.decompress(base64.b64decode(data["frames"])))


def test_page_and_notebook_each_get_their_face(monkeypatch):
    live = lines()._repr_mimebundle_()
    assert set(live) == {"text/plain", "image/png", WIDGET}
    monkeypatch.setenv("D2L_STATIC", "1")
    page = lines()._repr_mimebundle_()
    assert set(page) == {"text/plain", "image/png", "text/html"}
    for bundle in (live, page):
        assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
        assert bundle["text/plain"] == "Line. slope 2, shift False"


def test_the_example_in_the_docstring_runs():
    [example] = doctest.DocTestFinder(recurse=False).find(d2l.explore, globs={})
    assert doctest.DocTestRunner().run(example) == doctest.TestResults(failed=0, attempted=5)


@pytest.mark.parametrize("static", ["0", "1"])
def test_viewers_without_a_kernel_show_the_default_frame(static, monkeypatch):
    """nbconvert, and with it previews of notebooks, when the widget's state is gone."""
    monkeypatch.setenv("D2L_STATIC", static)
    bundle = lines()._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=bundle)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("lines()", outputs=[output])])
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    body = page[page.index("<main"):]
    assert ("<svg " in body) if static == "1" else (f"data:image/png;base64,{bundle['image/png'][:40]}" in body)


def test_the_page_holds_a_frame_for_each_combination():
    exploration = lines()
    data, content = frames_of(exploration.static_html())
    assert exploration.shape == (5, 2)
    assert content["sentences"] == [f"slope {slope}, shift {shift}" for slope in range(5) for shift in (False, True)]
    slope, shift = data["parameters"]
    assert slope == {"name": "slope", "values": ["0", "1", "2", "3", "4"], "default": 2,
                     "texts": ["0 m/s", "1 m/s", "2 m/s", "3 m/s", "4 m/s"]}
    assert shift["texts"] == ["off", "on"]


def test_frames_share_what_they_have_in_common():
    _, content = frames_of(lines().static_html())
    assert len(content["lines"]) < 1.2 * len(content["frames"][0])
    assert len({tuple(frame) for frame in content["frames"]}) == 10


def test_the_page_reads_without_script():
    page = lines(title="Lines & slopes").static_html()
    before_script = page[:page.index("<script")]
    assert '<div class="exploration-controls" hidden>' in before_script
    assert "Lines &amp; slopes" in before_script
    assert "slope 2, shift False" in before_script
    assert "slope: 0 m/s to 4 m/s; shifted: off, on" in before_script
    assert re.search(r'<label for="line\.slope">slope</label><input type="range" id="line\.slope"', page)


def test_values_come_from_the_controls():
    def function(a, b, c, d, e, f):
        return d2l.panels()[0]

    exploration = d2l.explore(
        function, a=IntSlider(1, min=1, max=6, step=2), b=FloatSlider(0.1, min=0, max=0.3, step=0.1),
        c=FloatLogSlider(1, base=10, min=-1, max=1, step=1), d=Dropdown(options=["p", "q"]),
        e=SelectionSlider(options=[("none", 0.0), ("some", 0.5)], value=0.5), f=Checkbox(True),
        page={"b": [0.1], "f": [True]})
    assert [p.values for p in exploration.parameters] == [
        [1, 3, 5], [0.1], [0.1, 1.0, 10.0], ["p", "q"], [0.0, 0.5], [True]]
    assert [p.default for p in exploration.parameters] == [0, 0, 1, 0, 1, 0]
    assert [p.kind for p in exploration.parameters] == ["range"] * 3 + ["select", "range", "checkbox"]
    assert exploration.parameters[4].texts == ["none", "some"]


@pytest.mark.parametrize("options, message", [
    ({"slope": IntSlider(0, min=0, max=150)}, r"302 frames: slope \(151\) x shift \(2\); at most 200"),
    ({"page": {"slope": [0, 4]}}, "lacks its default 2"),
])
def test_what_the_page_cannot_hold_is_refused_there_and_works_live(options, message):
    exploration = lines(**options)
    assert WIDGET in exploration._repr_mimebundle_()
    with pytest.raises(ValueError, match=message):
        exploration.static_html()


@pytest.mark.parametrize("options, error, message", [
    ({"slope": Text("2")}, TypeError, "control of slope is Text; allowed are IntSlider"),
    ({"extra": IntSlider(0)}, TypeError, r"takes \['shift', 'slope'\], the controls are \['extra'"),
    ({"page": {"slop": [1]}}, ValueError, r"page names \['slop'\]"),
    ({"units": {"slop": "m"}}, ValueError, r"units names \['slop'\]"),
])
def test_bad_explorations_are_refused_at_once(options, error, message):
    with pytest.raises(error, match=message):
        lines(**options)


def test_a_failing_frame_names_its_values():
    def inverse(slope):
        1 / (slope - 3)
        return d2l.panels()[0]

    with pytest.raises(RuntimeError, match=r"slope=3\) failed with ZeroDivisionError"):
        d2l.explore(inverse, slope=IntSlider(0, min=0, max=4)).static_html()


def test_something_else_than_a_figure_is_refused():
    with pytest.raises(TypeError, match="returned int"):
        d2l.explore(lambda slope: slope, slope=IntSlider(0)).draw(slope=1)


class Live:
    """The live face as a reader meets it."""

    def __init__(self, function, **controls):
        self.controls = controls
        *_, message, figure, sentence = d2l.explore(function, **controls).widget().children
        self.message, self.figure, self.sentence = message, figure, sentence


def test_a_live_session_draws_only_what_is_asked_for():
    asked = []

    def function(x):
        asked.append(x)
        return d2l.panels()[0], f"x is {x}"

    live = Live(function, x=FloatSlider(0, min=0, max=1, step=0.01))
    live.controls["x"].value = 0.37
    assert asked == [0, 0.37]
    assert live.sentence.value == "x is 0.37"
    assert isinstance(live.figure, HTML) and "<svg" in live.figure.value


def test_an_error_is_shown_and_the_next_move_recovers():
    def function(x):
        if x == 2:
            raise ValueError("x is <2>")
        return d2l.panels()[0], f"x is {x}"

    live = Live(function, x=IntSlider(0, min=0, max=4))
    before = live.figure.value
    live.controls["x"].value = 2
    assert "ValueError: x is &lt;2&gt;" in live.message.value
    assert live.figure.value == before, "the old figure stays"
    live.controls["x"].value = 3
    assert (live.message.value, live.sentence.value) == ("", "x is 3")


def test_it_says_so_while_it_computes():
    seen = []

    def function(x):
        if x:
            seen.append(live.message.value)
        return d2l.panels()[0]

    live = Live(function, x=IntSlider(0))
    live.controls["x"].value = 1
    assert "Computing" in seen[0] and live.message.value == ""


@pytest.mark.parametrize("slow", [False, True])
def test_slow_functions_wait_for_the_release(slow, monkeypatch):
    clock = iter(range(0, 1000, 10 if slow else 1))
    monkeypatch.setattr(sys.modules["d2l.explore"].time, "perf_counter", lambda: next(clock) / 10)
    live = Live(lambda x: d2l.panels()[0], x=IntSlider(0))
    assert live.controls["x"].continuous_update is not slow
