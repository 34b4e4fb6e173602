"""Figures that read in light and dark, and that nobody needs to see to understand."""

import pathlib
import re

import numpy
import pytest

import d2l
from d2l.plotting import figure_html, svg_elements

SITE_CSS = pathlib.Path(__file__).parents[1] / "assets/site.css"


def luminance(colour):
    """Relative luminance of "#rrggbb" (WCAG 2.1)."""
    channels = numpy.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = numpy.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def drawing():
    figure, [left, right] = d2l.panels(2)
    d2l.curves(left, [0, 1, 2], {"training": [3, 2, 1], "test": [3, 2.5, 2]}, xlabel="epoch", ylabel="loss")
    right.plot([0, 1], [0, 1], alpha=0.16)
    return figure


def test_every_colour_has_a_dark_counterpart_and_enough_contrast():
    dark = dict(re.findall(r"--d2l-(\w+): (#\w{6})", SITE_CSS.read_text()))
    assert set(dark) == set(d2l.THEME)
    for name in set(d2l.THEME) - {"grid", "paper"}:
        assert contrast(d2l.THEME[name], "#ffffff") >= 4.5, name
        assert contrast(dark[name], "#121212") >= 4.5, name


def test_colours_follow_the_page():
    text = "".join(svg_elements(drawing()))
    bare = re.sub(r"var\(--d2l-\w+,#\w{6}\)", "", text)
    assert "var(--d2l-blue,#1a66c2)" in text
    assert not re.findall(r"#[0-9a-f]{6}\b", bare), "a colour outside the theme"


def test_equal_figures_give_equal_elements():
    assert svg_elements(drawing()) == svg_elements(drawing())


def test_rounding_leaves_styles_alone():
    assert "opacity: 0.16" in "".join(svg_elements(drawing()))


def test_nothing_in_a_drawing_styles_the_page():
    assert "<style" not in figure_html(drawing(), "two panels")


def test_panels_of_a_figure_can_wrap():
    page = figure_html(drawing(), 'a "quoted" text')
    assert page.count("<svg ") == 2
    assert re.findall(r'viewBox="(\d+) 0 (\d+) (\d+)"', page) == [("0", "288", "216"), ("288", "288", "216")]
    assert 'role="img"' in page and "a &quot;quoted&quot; text" in page


def test_a_figure_needs_words():
    with pytest.raises(ValueError, match="alt is empty"):
        d2l.show(drawing(), " ")


@pytest.mark.parametrize("call, message", [
    (lambda axes: d2l.curves(axes, [1], {}, xlabel="x", ylabel="y"), "series is empty"),
    (lambda axes: d2l.curves(axes, [1], {"a": [1, 2]}, xlabel="x", ylabel="y"), "'a' has 2 values for 1"),
    (lambda axes: d2l.panels(0), "count is 0"),
    (lambda axes: d2l.images([]), "pictures is empty"),
    (lambda axes: d2l.images([numpy.eye(2)], ["a", "b"]), "2 titles for 1"),
    (lambda axes: d2l.images([numpy.eye(2)], columns=0), "columns is 0"),
])
def test_bad_input_is_named(call, message):
    figure, [axes] = d2l.panels()
    with pytest.raises(ValueError, match=message):
        call(axes)
