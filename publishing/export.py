"""Writes each section as an .ipynb with its outputs, for learners and for nbval."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from publishing.execute import cached, open_cache
from publishing.sections import Problem, read_sections

FOLDER = "_build/notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def clean(notebook: NotebookNode) -> NotebookNode:
    """A copy of ``notebook`` that is the same whenever it is written.

    Left out are what serves the build only (the map of source lines), what was written on stderr (progress bars),
    views of widgets, whose state ended with the kernel that drew them, and of a figure the face that needs the site's
    style: viewers of notebooks show its picture.
    """
    cells = []
    for number, cell in enumerate(notebook.cells):
        cell = nbformat.from_dict(cell)
        cell.id = hashlib.sha256(f"{number} {cell.source}".encode()).hexdigest()[:12]
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
            for output in cell.outputs:
                faces = output.get("data", {})
                faces.pop(WIDGET, None)
                if "image/png" in faces:
                    faces.pop("text/html", None)
        cells.append(cell)
    metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info")}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def export(root: Path) -> None:
    """Write every section of the course at ``root`` that has code, and remove notebooks whose section is gone.

    Raises
    ------
    Problem
        If a section has not been run.
    """
    cache = open_cache(root)
    folder = root / FOLDER
    written = set()
    for section in read_sections(root):
        if not section.notebook:
            continue
        if cached(cache, section.notebook) is None:
            raise Problem(f"{section.name}.md has not been run: make notebooks runs it")
        _, notebook = cache.merge_match_into_notebook(section.notebook)
        target = folder / f"{section.name.removeprefix('chapters/')}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        nbformat.write(clean(notebook), part)
        part.replace(target)
        written.add(target)
    for old in set(folder.glob("**/*.ipynb")) - written:
        old.unlink()
    print(f"{len(written)} notebooks are in {FOLDER}")


if __name__ == "__main__":
    export(Path.cwd())
