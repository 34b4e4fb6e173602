"""The sections of the course, in the order of _toc.yml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from myst_nb.core.read import is_myst_markdown_notebook, myst_nb_reader_plugin
from nbformat import NotebookNode
from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml


class Problem(SystemExit):
    """Something in the sources that has to be put right; its message ends the program that does not catch it."""


@dataclass(frozen=True)
class Section:
    """One page of the course.

    Attributes
    ----------
    name : str
        Its path without extension, from the repository's root: ``chapters/<chapter>/<section>``.
    path : Path
        Its source.
    notebook : NotebookNode or None
        Its cells, not run; None for a page without code.
    """

    name: str
    path: Path
    notebook: NotebookNode | None


def read_section(root: Path, name: str) -> Section:
    """Read the section called ``name`` from the course at ``root``."""
    path = root / f"{name}.md"
    if not path.is_file():
        raise Problem(f"_toc.yml names {name}, but there is no {name}.md")
    if not is_myst_markdown_notebook(path.read_text("utf-8")):
        return Section(name, path, None)
    notebook = myst_nb_reader_plugin(str(path))
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        raise Problem(f"{name}.md:1: the front matter has to say kernelspec: {{name: python3}}, not {kernel}")
    return Section(name, path, notebook)


def read_sections(root: Path) -> list[Section]:
    """Read every section that _toc.yml names.

    Raises
    ------
    Problem
        If _toc.yml names a section that does not exist or leaves out one that does.
    """
    try:
        names = list(parse_toc_yaml(root / "_toc.yml"))
    except MalformedError as error:
        raise Problem(f"_toc.yml: {error}") from None
    present = {path.relative_to(root).with_suffix("").as_posix() for path in root.glob("chapters/**/*.md")}
    if left_out := sorted(present - set(names)):
        raise Problem("_toc.yml leaves out " + ", ".join(f"{name}.md" for name in left_out))
    return [read_section(root, name) for name in names]
