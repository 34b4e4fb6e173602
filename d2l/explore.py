"""Explorations: a function from parameters to a figure, with a control for each parameter.

One call has two faces. In a live session :func:`explore` shows ipywidgets and calls the function
for whatever value the reader sets. For the website (``D2L_STATIC=1``) it draws a frame for each
point of a grid in advance and writes them into the page, where native controls and a few lines of
script (assets/exploration.js) swap them: no kernel, no widget library.
"""

from __future__ import annotations

import base64
import functools
import gzip
import html
import inspect
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy
from matplotlib.figure import Figure

from d2l import plotting
from d2l.grid import run

__all__ = ["Exploration", "explore"]

#: The controls that have a native counterpart on the page.
CONTROLS = (widgets.IntSlider, widgets.FloatSlider, widgets.FloatLogSlider, widgets.SelectionSlider,
            widgets.Dropdown, widgets.Checkbox)
#: More frames than this make a page too heavy and a build too slow.
MAX_FRAMES = 200
#: A function slower than this (seconds) is called when the slider is let go, not while it moves.
SLOW = 0.15


def explore(function: Callable, *, name: str | None = None, title: str | None = None,
            page: Mapping[str, Iterable] | None = None, units: Mapping[str, str] | None = None,
            **controls: widgets.ValueWidget) -> Exploration:
    """Let the reader move the parameters of a figure.

    Parameters
    ----------
    function : callable
        Takes one argument for each control, by name, and returns a Matplotlib figure, or a figure
        and a sentence that says in words what these values show. It should make its figure with
        :func:`d2l.panels` (no pyplot) and depend on its arguments alone, because the frames for
        the page are drawn in other processes and kept on disk (:func:`d2l.cached`).
    name : str, optional
        Identifies the exploration in the page's address; by default the function's name with
        dashes. Unique in a page.
    title : str, optional
        Heading of the exploration; by default made from the name.
    page : mapping of str to values, optional
        Coarser grid for the page, by parameter: the values to draw in advance. A parameter with
        one value here is fixed on the page and free in a live session.
    units : mapping of str to str, optional
        Unit written behind a parameter's value.
    **controls : ipywidgets controls
        One for each parameter of `function`: IntSlider, FloatSlider, FloatLogSlider,
        SelectionSlider, Dropdown or Checkbox. Its value is the default, its description the label.

    Returns
    -------
    Exploration
        To be left as the last expression of a cell, which displays it.

    Raises
    ------
    TypeError
        If a control is of another kind, or controls and parameters do not match.
    ValueError
        If `page` or `units` names an unknown parameter; and when the frames are drawn in advance,
        if there are more than 200 or the page's grid lacks a default.

    Examples
    --------
    >>> from ipywidgets import Checkbox, FloatSlider
    >>> import d2l, numpy
    >>> def wave(frequency, damped):
    ...     t = numpy.linspace(0, 1, 200)
    ...     y = numpy.sin(2 * numpy.pi * frequency * t) * numpy.exp(-3 * t * damped)
    ...     figure, [axes] = d2l.panels()
    ...     d2l.curves(axes, t, {"signal": y}, xlabel="time (s)", ylabel="height", ylim=(-1, 1))
    ...     return figure, f"{frequency:g} periods in a second."
    >>> exploration = d2l.explore(
    ...     wave, units={"frequency": "Hz"}, page={"frequency": [1, 2, 4, 8]},
    ...     frequency=FloatSlider(2, min=0.5, max=8, step=0.5),
    ...     damped=Checkbox(False, description="with damping"))
    >>> exploration.shape
    (4, 2)
    """
    return Exploration(function, name=name, title=title, page=page or {}, units=units or {},
                       controls=controls)


class Frame(NamedTuple):
    """One drawn state: the SVG elements of the figure and the sentence below it."""

    elements: list[str]
    sentence: str


class Parameter(NamedTuple):
    """What the page needs to know of one control: its values there and how they are written."""

    name: str
    label: str
    unit: str
    kind: str  # "range", "select" or "checkbox"
    values: list
    texts: list[str]
    default: int  # index into values

    def text(self, index: int) -> str:
        """A value as the reader sees it, with its unit."""
        return f"{self.texts[index]} {self.unit}".strip()

    def describe(self, index: int) -> str:
        """Label and value: "degree 3"."""
        return f"{self.label} {self.text(index)}"

    def span(self) -> str:
        """The values in words: the ends of a slider, all choices of a menu."""
        if self.kind == "range":
            return f"{self.text(0)} to {self.text(len(self.values) - 1)}"
        return ", ".join(self.text(index) for index in range(len(self.values)))


class Exploration:
    """A function with controls; made by :func:`explore`, displayed by the notebook.

    Attributes
    ----------
    name, title : str
        Identifier in the page and heading.
    """

    def __init__(self, function, *, name, title, page, units, controls):
        self.name = (name or function.__name__).replace("_", "-")
        self.title = title or self.name.replace("-", " ").capitalize()
        self._function, self._controls, self._page, self._units = function, controls, page, units
        _check(function, controls, page, units)

    @functools.cached_property
    def parameters(self) -> list[Parameter]:
        """The controls as the page shows them; a live session has no use for their grid."""
        return [_parameter(name, control, self._page.get(name), self._units.get(name, ""))
                for name, control in self._controls.items()]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each parameter on the page; their product is the number of frames."""
        return tuple(len(parameter.values) for parameter in self.parameters)

    def draw(self, **values) -> tuple[Figure, str]:
        """Call the function; returns the figure and the sentence (empty if it gives none).

        Raises
        ------
        TypeError
            If the function returns neither a figure nor a figure and a sentence.
        """
        return _draw(self._function, values)

    def defaults(self) -> dict[str, Any]:
        """The value of each parameter before anything is moved."""
        return {key: control.value for key, control in self._controls.items()}

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        figure, sentence = self.draw(**self.defaults())
        bundle = {"text/plain": f"{self.title}. {sentence}".strip(),
                  "image/png": plotting.png(figure)}
        if plotting.drawing_for_the_page():
            bundle["text/html"] = self.static_html()
        else:
            live = self.widget()._repr_mimebundle_()
            bundle |= {kind: live[kind] for kind in live if kind.startswith("application/")}
        return bundle

    # The live face

    def widget(self) -> widgets.VBox:
        """The exploration for a session with a kernel: controls, figure, sentence, message."""
        figure_box, sentence_box, message = widgets.HTML(), widgets.HTML(), widgets.HTML()
        controls = list(self._controls.values())

        def redraw(change=None):
            message.value = "<em>Computing …</em>"
            start = time.perf_counter()
            try:
                figure, sentence = self.draw(**self.defaults())
                figure_box.value = plotting.figure_html(figure, self.title)
                sentence_box.value = html.escape(sentence)
            except Exception as error:  # shown to the reader; the next move tries again
                message.value = (f'<span style="color:#b00020">{type(error).__name__}: '
                                 f"{html.escape(str(error))}</span>")
                return
            if time.perf_counter() - start > SLOW:
                for control in controls:
                    if hasattr(control, "continuous_update"):
                        control.continuous_update = False
            message.value = ""

        for key, control in self._controls.items():
            control.description = control.description or key
            control.style.description_width = "initial"
            if not isinstance(control, widgets.Checkbox):
                control.layout.width = "32em"
            control.observe(redraw, names="value")
        redraw()
        return widgets.VBox([*controls, message, figure_box, sentence_box])

    # The static face

    def frames(self, positions: list[tuple[float, ...]]) -> list[Frame]:
        """A frame for each point of the page's grid, the last parameter moving fastest.

        Parameters
        ----------
        positions : list of tuples
            Where the axes stand in every frame, from :func:`d2l.plotting.lay_out`.

        Raises
        ------
        ValueError
            If there are more than 200 frames.
        RuntimeError
            If a frame fails; names the values of its parameters.
        """
        if math.prod(self.shape) > MAX_FRAMES:
            counts = " x ".join(f"{p.name} ({len(p.values)})" for p in self.parameters)
            raise ValueError(f"exploration {self.name!r} has {math.prod(self.shape)} frames: "
                             f"{counts}; at most {MAX_FRAMES} can be drawn in advance, "
                             "give fewer values with page={...}")
        names = [parameter.name for parameter in self.parameters]
        grid = itertools.product(*(parameter.values for parameter in self.parameters))
        function = self._function

        def frame(**values):
            figure, sentence = _draw(function, values)
            plotting.place(figure, positions)
            return Frame(plotting.svg_elements(figure), sentence)

        points = [dict(zip(names, values)) for values in grid]
        return run(frame, points, f"frames of {self.name}")

    def static_html(self) -> str:
        """The exploration for a page without a kernel: one element with class ``exploration``."""
        figure, _ = self.draw(**self.defaults())
        frames = self.frames(plotting.lay_out(figure))
        default = numpy.ravel_multi_index([p.default for p in self.parameters], self.shape)
        elements, sentence = frames[default]
        key = html.escape(self.name)
        controls = "".join(_control_html(key, parameter) for parameter in self.parameters)
        now = ", ".join(p.describe(p.default) for p in self.parameters)
        ranges = "; ".join(f"{p.label}: {p.span()}" for p in self.parameters)
        longest = max((frame.sentence for frame in frames), key=len)
        data = {"parameters": [{"name": p.name, "values": [str(v) for v in p.values],
                                "texts": [p.text(i) for i in range(len(p.values))],
                                "default": p.default} for p in self.parameters],
                "frames": pack(frames)}
        return f"""\
<figure class="exploration" id="{key}" aria-labelledby="{key}-title">
<figcaption class="exploration-title" id="{key}-title">{html.escape(self.title)}</figcaption>
<div class="exploration-controls" hidden>{controls}
<div class="exploration-buttons"><button type="button" class="exploration-play" \
aria-pressed="false">Play</button><button type="button" class="exploration-reset">Reset</button></div>
</div>
<div class="exploration-frame" role="img" aria-labelledby="{key}-title" \
aria-describedby="{key}-sentence" style="{plotting.PANEL_ROW}">\
{plotting.panel_svgs(figure, f"{key}-drawing", elements)}</div>
<div class="exploration-text"><p aria-hidden="true" class="exploration-space">{html.escape(longest)}</p>\
<p class="exploration-sentence" id="{key}-sentence" aria-live="polite">{html.escape(sentence)}</p></div>
<p class="exploration-still">The figure shows {html.escape(now)}. With JavaScript these controls \
would move it: {html.escape(ranges)}.</p>
<script type="application/json" class="exploration-data">{json.dumps(data, separators=(",", ":"))}\
</script>
</figure>"""


def pack(frames: list[Frame]) -> str:
    """Frames as base64 text of gzipped JSON ``{"lines", "frames", "sentences"}``.

    Each different SVG element is stored once, in ``lines``; a frame is the list of its elements'
    positions there. Frames of one exploration share axes, labels and most curves, so this takes a
    tenth of the space of separate drawings.
    """
    lines = {}
    indices = [[lines.setdefault(line, len(lines)) for line in frame.elements] for frame in frames]
    content = {"lines": list(lines), "frames": indices,
               "sentences": [frame.sentence for frame in frames]}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _draw(function: Callable, values: Mapping[str, Any]) -> tuple[Figure, str]:
    result = function(**values)
    figure, sentence = result if isinstance(result, tuple) else (result, "")
    if not isinstance(figure, Figure):
        raise TypeError(f"{function.__name__} returned {type(figure).__name__}; an exploration's "
                        "function returns a Matplotlib figure, or a figure and a sentence")
    return figure, sentence


def _check(function: Callable, controls: Mapping, page: Mapping, units: Mapping) -> None:
    wanted = inspect.signature(function).parameters
    if not controls or set(wanted) != set(controls):
        raise TypeError(f"{function.__name__} takes {sorted(wanted)}, the controls are "
                        f"{sorted(controls)}; give one control for each parameter")
    for name, control in controls.items():
        if not isinstance(control, CONTROLS):
            raise TypeError(f"the control of {name} is {type(control).__name__}; allowed are "
                            + ", ".join(kind.__name__ for kind in CONTROLS))
    for option, mapping in (("page", page), ("units", units)):
        if unknown := sorted(set(mapping) - set(controls)):
            raise ValueError(f"{option} names {unknown}; the parameters are {sorted(controls)}")


def _parameter(name: str, control: widgets.ValueWidget, page: Iterable | None,
               unit: str) -> Parameter:
    values, texts, kind = _values(control)
    if page is not None:
        values = list(page)
        texts = [_text(control, value) for value in values]
    matches = [i for i, value in enumerate(values) if _same(value, control.value)]
    if not matches:
        raise ValueError(f"the page shows {name} at {values}, which lacks its default "
                         f"{control.value!r}")
    return Parameter(name, control.description or name, unit, kind, values, texts, matches[0])


def _values(control: widgets.ValueWidget) -> tuple[list, list[str], str]:
    """The grid of a control: its values, how they are written, and the page's control."""
    match control:
        case widgets.Checkbox():
            return [False, True], ["off", "on"], "checkbox"
        case widgets.SelectionSlider() | widgets.Dropdown():
            texts, values = zip(*control._options_full)
            kind = "select" if isinstance(control, widgets.Dropdown) else "range"
            return list(values), list(texts), kind
    count = int((control.max - control.min) / control.step + 1e-9) + 1
    values = [control.min + i * control.step for i in range(count)]
    if isinstance(control, widgets.FloatLogSlider):
        values = [control.base ** exponent for exponent in values]
    if not isinstance(control, widgets.IntSlider):
        values = [float(f"{value:.10g}") for value in values]
    return values, [_text(control, value) for value in values], "range"


def _text(control: widgets.ValueWidget, value: Any) -> str:
    if isinstance(control, widgets.Checkbox):
        return "on" if value else "off"
    if isinstance(control, (widgets.SelectionSlider, widgets.Dropdown)):
        return next((text for text, option in control._options_full if _same(option, value)),
                    str(value))
    return f"{value:g}"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9)
    return a == b


def _control_html(key: str, parameter: Parameter) -> str:
    """A native control with its label and, for a range, its value; the script does the rest."""
    if len(parameter.values) == 1:
        return ""
    identifier = f"{key}.{html.escape(parameter.name)}"
    label = f'<label for="{identifier}">{html.escape(parameter.label)}</label>'
    common = f'id="{identifier}" data-parameter="{html.escape(parameter.name)}" autocomplete="off"'
    default = parameter.default
    if parameter.kind == "checkbox":
        control = f'<input type="checkbox" {common}{" checked" if parameter.values[default] else ""}>'
    elif parameter.kind == "select":
        options = "".join(f"<option{' selected' if i == default else ''}>"
                          f"{html.escape(parameter.text(i))}</option>"
                          for i in range(len(parameter.values)))
        control = f"<select {common}>{options}</select>"
    else:
        now = html.escape(parameter.text(default))
        width = max(len(parameter.text(i)) for i in range(len(parameter.values)))
        control = (f'<input type="range" {common} min="0" max="{len(parameter.values) - 1}" '
                   f'step="1" value="{default}" aria-valuetext="{now}">'
                   f'<output for="{identifier}" style="min-width:{width}ch">{now}</output>')
    return f'<div class="exploration-control">{label}{control}</div>'
