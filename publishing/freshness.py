"""Sphinx extension: an incremental build ends with the site that a build from nothing would give.

Sphinx reads a page again when its source changed. Here pages also change with their notebook's outputs and with the
site's style and script, and the page of a section that is gone has to go.
"""

from __future__ import annotations

import hashlib
from datetime import UTC
from pathlib import Path

from jupyter_cache import get_cache
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

from publishing.execute import CACHE, cached
from publishing.sections import Problem, read_sections


def digest_surroundings(app: Sphinx, config: Config) -> None:
    """Let a change of what all pages share write all of them again: style, script, pictures, KaTeX, the theme's pin."""
    root = Path(app.srcdir)
    shared = [root / "requirements.txt", *root.glob("publishing/*")]
    for folder in config.html_static_path:
        shared += (root / folder).glob("**/*")
    digest = hashlib.sha256()
    for path in sorted(shared):
        if path.is_file():
            digest.update(path.read_bytes())
    config.surroundings = digest.hexdigest()


def find_rerun(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Remove the pages of sections that are gone, and name those whose notebook was run again since they were read.

    Raises
    ------
    Problem
        If a notebook is not in the cache: Jupyter Book would run it, without limit, one after the other.
    """
    for name in removed:
        Path(app.builder.get_outfilename(name)).unlink(missing_ok=True)
    cache = get_cache(Path(app.srcdir, CACHE))
    rerun = []
    for section in read_sections(Path(app.srcdir)):
        if not section.notebook:
            continue
        run = cached(cache, section.notebook)
        if run is None:
            raise Problem(f"{section.name}.md has not been run: make site runs it")
        if run.created.replace(tzinfo=UTC).timestamp() * 1e6 > env.all_docs.get(section.name, 0):
            rerun.append(section.name)
    return rerun


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_config_value("surroundings", "", "html")
    app.connect("config-inited", digest_surroundings)
    app.connect("env-get-outdated", find_rerun)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
