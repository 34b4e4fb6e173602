"""Figures in one style that reads on light and dark pages, on paper and on a phone.

A section asks :func:`panels` for axes, draws with ordinary Matplotlib, and hands the figure to
:func:`show` together with a text for those who cannot see it. Colours come from :data:`THEME`:
in the SVG each of them becomes a CSS variable with the light colour as its fallback, so that a
page in dark mode recolours the figure without drawing it again.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence

import contourpy
import matplotlib as mpl
import numpy
from cycler import cycler
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, NullLocator

__all__ = ["THEME", "curves", "decision_map", "images", "panels", "show"]

#: The course's colours: name -> colour on light paper. The dark counterparts are in assets/site.css.
THEME = {
    "blue": "#1a66c2",
    "orange": "#c2410c",
    "green": "#0f7b4f",
    "purple": "#7a3fb5",
    "grey": "#68717d",
    "yellow": "#8f6400",
    "ink": "#1f2933",
    "grid": "#d4d9e0",
    "paper": "#ffffff",
}
_CYCLE = ["blue", "orange", "green", "purple", "grey", "yellow"]
#: Style of the element around panel_svgs, so that panels stand in a row or wrap.
PANEL_ROW = "display:flex;flex-wrap:wrap;justify-content:center"
#: Fonts on the page: the one the layout was made for, one of its width, whatever there is.
_FONTS = "'DejaVu Sans',Verdana,sans-serif"
_LINES = ["-", "--", "-.", ":"]

mpl.rcParams.update({
    "axes.axisbelow": True,
    "axes.edgecolor": THEME["ink"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": THEME["ink"],
    "axes.prop_cycle": cycler(color=[THEME[name] for name in _CYCLE]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": THEME["ink"],
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",  # comes with Matplotlib, so that every machine lays out alike
    "font.size": 9,
    "grid.color": THEME["grid"],
    "grid.linewidth": 0.6,
    "legend.edgecolor": THEME["grid"],
    "legend.facecolor": THEME["paper"],
    "legend.fontsize": 8.5,
    "legend.framealpha": 0.8,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "path.simplify_threshold": 0.3,
    "svg.fonttype": "none",
    "svg.hashsalt": "d2l",
    "text.color": THEME["ink"],
    "xtick.color": THEME["ink"],
    "ytick.color": THEME["ink"],
})


def panels(count: int = 1, *, width: float = 4.0, height: float = 3.0) -> tuple[Figure, list[Axes]]:
    """Make a figure of `count` panels side by side, each with axes of its own.

    On a narrow screen the panels of a shown figure stand one below the other.

    Parameters
    ----------
    count : int
        Number of panels, at least 1.
    width, height : float
        Size of one panel in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Not registered with pyplot, so nothing draws it a second time.
    axes : list of matplotlib.axes.Axes
        One per panel, from left to right.

    Raises
    ------
    ValueError
        If `count` is less than 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}; a figure needs at least 1 panel")
    figure = Figure(figsize=(count * width, height), layout="constrained")
    parts = figure.subfigures(1, count, squeeze=False).flat
    return figure, [part.subplots() for part in parts]


def curves(axes: Axes, x: Sequence[float], series: Mapping[str, Sequence[float]], *,
           xlabel: str, ylabel: str, **settings) -> None:
    """Draw several named curves over the same `x`, told apart by colour and by line style.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    x : sequence of n numbers
        Shared horizontal positions.
    series : mapping of str to sequences of n numbers
        Label of each curve and its heights; a pandas frame's columns will do.
    xlabel, ylabel : str
        What the axes measure, with the unit where there is one.
    **settings
        Passed to ``axes.set``: ``title``, ``xlim``, ``yscale`` and the like.

    Raises
    ------
    ValueError
        If there is no curve, or one is not as long as `x`.
    """
    if not len(series):
        raise ValueError("series is empty; give at least one named curve")
    for (label, heights), line in zip(series.items(), itertools.cycle(_LINES)):
        if len(heights) != len(x):
            raise ValueError(f"curve {label!r} has {len(heights)} values for {len(x)} positions")
        axes.plot(x, heights, line, label=label)
    axes.set(xlabel=xlabel, ylabel=ylabel, **settings)
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":  # plain numbers, nothing between: half the time to draw
            axis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
    if len(series) > 1:
        axes.legend()


def images(pictures: Sequence, titles: Sequence[str] | None = None, *, columns: int = 8) -> Figure:
    """Draw grey-scale pictures in rows of `columns`, with a title above each.

    Parameters
    ----------
    pictures : sequence of arrays (height, width)
        Dark means a large value, as ink on paper.
    titles : sequence of str, optional
        One per picture.
    columns : int
        Pictures in a row, at least 1.

    Raises
    ------
    ValueError
        If there is no picture, or the number of titles is another.
    """
    if not len(pictures):
        raise ValueError("pictures is empty; give at least one picture")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(titles)} titles for {len(pictures)} pictures; give one for each")
    if columns < 1:
        raise ValueError(f"columns is {columns}; a row needs at least 1 picture")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(1.05 * columns, 1.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, picture, title in itertools.zip_longest(grid, pictures, titles or []):
        axes.set_axis_off()
        if picture is not None:
            axes.imshow(numpy.asarray(picture), cmap="gray_r")
            axes.set_title(title or "", fontsize=8)
    return figure


def decision_map(axes: Axes, probability: Callable, points, labels, *, extent: float = 1.5,
                 resolution: int = 60) -> None:
    """Shade the plane by the predicted probability of class 1 and put the labelled points on it.

    The darker a place, the surer the prediction: the steps of the shading are at 0.5, 0.7 and 0.9
    for either class. A line marks 0.5, the decision boundary.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    probability : callable
        Maps an array (m, 2) of points to their m probabilities of class 1.
    points : array (n, 2)
    labels : array (n,)
        0 (drawn as circles, in purple) or 1 (drawn as triangles, in yellow).
    extent : float
        The picture covers ``[-extent, extent]`` in both directions.
    resolution : int
        Points per side of the grid on which `probability` is asked.
    """
    points, labels = numpy.asarray(points), numpy.asarray(labels)
    side = numpy.linspace(-extent, extent, resolution)
    grid = numpy.stack(numpy.meshgrid(side, side), axis=-1).reshape(-1, 2).astype("float32")
    height = numpy.asarray(probability(grid), dtype="float64").reshape(resolution, resolution)

    def add(lines: Sequence, **style) -> None:
        """Draw polygons or lines without the vertices that the eye does not miss."""
        scale = 80 / extent  # the unit in which a third is not seen, as in path.simplify_threshold
        lines = [Path(line * scale).cleaned(simplify=True).vertices[:-1] / scale for line in lines]
        if lines:
            axes.add_patch(PathPatch(Path.make_compound_path(*map(Path, lines)), **style))

    for name, certainty in (("purple", 1 - height), ("yellow", height)):
        areas = contourpy.contour_generator(side, side, certainty, fill_type="OuterOffset")
        for level in (0.5, 0.7, 0.9):
            rings = [outer[start:end] for outer, offsets in zip(*areas.filled(level, 2))
                     for start, end in itertools.pairwise(offsets)]
            add(rings, color=THEME[name], alpha=0.13, linewidth=0)
    boundary = contourpy.contour_generator(side, side, height).lines(0.5)
    add(boundary, fill=False, edgecolor=THEME["ink"], linewidth=1.4)
    for label, name, marker in ((0, "purple", "o"), (1, "yellow", "^")):
        axes.plot(*points[labels == label].T, marker, color=THEME[name], markersize=4.5,
                  markeredgewidth=0.5, markeredgecolor=THEME["paper"], label=f"class {label}")
    ticks = (-extent, 0, extent)
    axes.set(xlim=(-extent, extent), xticks=ticks, xlabel="feature 1",
             ylim=(-extent, extent), yticks=ticks, ylabel="feature 2", aspect="equal")
    axes.grid(False)


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its alternative text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What the figure shows, in words, for readers who cannot see it.

    Raises
    ------
    ValueError
        If `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("alt is empty; say in words what the figure shows")
    bundle = {"text/plain": alt, "image/png": png(figure)}
    if drawing_for_the_page():
        bundle["text/html"] = figure_html(figure, alt)
    display(bundle, raw=True)


def drawing_for_the_page() -> bool:
    """Whether the notebook runs for the website (``D2L_STATIC=1``) and not in a live session."""
    return os.environ.get("D2L_STATIC") == "1"


def png(figure: Figure) -> str:
    """The figure as base64 text of a PNG on light paper, for viewers that know no SVG."""
    buffer = io.BytesIO()
    lay_out(figure)
    figure.savefig(buffer, format="png", dpi=144, facecolor=THEME["paper"])
    return base64.b64encode(buffer.getvalue()).decode()


def lay_out(figure: Figure) -> list[tuple[float, ...]]:
    """Place the axes once and for all; with a layout engine, savefig draws everything twice.

    Returns
    -------
    list of tuples (left, bottom, width, height)
        Position of each axes in its panel, as fractions.
    """
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine(None)
    return [axes.get_position(original=True).bounds for axes in figure.axes]


def place(figure: Figure, positions: Sequence[tuple[float, ...]]) -> None:
    """Put the axes where :func:`lay_out` put those of a figure like this one.

    Frames of one exploration then keep their axes still, and take two thirds of the time. A
    figure with another number of axes keeps a layout of its own.
    """
    if len(positions) == len(figure.axes):
        figure.set_layout_engine(None)
        for axes, position in zip(figure.axes, positions):
            axes.set_position(position)


def svg_elements(figure: Figure) -> list[str]:
    """The figure's drawing as SVG elements, one a line, in the theme's colours.

    Coordinates are points (1/72 inch) to one decimal; identifiers that nothing refers to are
    dropped. What two figures share comes out as equal lines, which lets a series of frames be
    stored as the few lines in which they differ.
    """
    buffer = io.StringIO()
    lay_out(figure)
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index(">", text.index("<svg")) + 1:text.rindex("</svg>")]
    # A style element would hold for the whole page; panel_svgs sets what it says on the drawing.
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", text,
                  flags=re.S)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r'"[^"]*"', lambda quoted: " ".join(quoted[0].split()), text)
    referred = set(re.findall(r"#([^\")]+)[\")]", text))
    text = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in referred else "", text)
    text = re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, text)
    for name, colour in THEME.items():
        text = text.replace(colour, f"var(--d2l-{name},{colour})")
    return [line for line in map(str.strip, text.splitlines())
            if line and not line.startswith("<!--")]


def _rounded(attribute: re.Match) -> str:
    return re.sub(r"-?\d+\.\d+", lambda number: f"{round(float(number[0]), 1):g}", attribute[0])


def panel_svgs(figure: Figure, identifier: str, elements: Sequence[str]) -> str:
    """One ``<svg>`` a panel: the first holds the drawing, the others look at their part of it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Gives the size and the number of panels.
    identifier : str
        Identifier of the group with the drawing; unique in the page.
    elements : sequence of str
        The drawing, from :func:`svg_elements`.
    """
    width, height = 72 * figure.get_size_inches()
    count = max(len(figure.subfigs), 1)
    width /= count
    drawing = (f'<g id="{identifier}" style="font-family:{_FONTS};stroke-linejoin:round;'
               f'stroke-linecap:butt">'
               f'{"".join(elements)}</g>')
    copy = f'<use href="#{identifier}"/>'
    return "".join(
        f'<svg viewBox="{index * width:g} 0 {width:g} {height:g}" aria-hidden="true" '
        f'style="flex:1 1 {0.87 * width:.0f}px;min-width:0;max-width:{1.5 * width:g}px">'
        f"{copy if index else drawing}</svg>" for index in range(count))


def figure_html(figure: Figure, alt: str) -> str:
    """The figure as HTML: inline SVG whose panels wrap on narrow screens, named by `alt`."""
    elements = svg_elements(figure)
    digest = hashlib.sha256("".join([alt, *elements]).encode()).hexdigest()[:10]
    return (f'<div class="d2l-figure" role="img" aria-label="{html.escape(alt)}" '
            f'style="{PANEL_ROW}">{panel_svgs(figure, f"figure-{digest}", elements)}</div>')
