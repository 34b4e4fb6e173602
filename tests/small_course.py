"""A course of three pages, built with this repository's Makefile, settings and publishing steps."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The tests may have been started by make, whose variables and options are not those of the make that they try.
OUTSIDE_MAKE = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
FRONT = """\
---
file_format: mystnb
kernelspec: {name: python3}
---
"""
COUNT = """
```{code-cell}
import os, pathlib
with open(os.environ["RUNS"], "a") as log:
    log.write("NAME ")
```
"""


class Course:
    """A small course in its own folder.

    Attributes
    ----------
    root : Path
        The folder; ``publishing``, the Makefile and the settings in it are the repository's.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = root / "runs.txt"
        for name in ("publishing", "Makefile", "_config.yml"):
            (root / name).symlink_to(ROOT / name)
        (root / ".venv").symlink_to(sys.prefix)
        self.write("_toc.yml", "format: jb-book\nroot: chapters/index\nchapters:\n"
                   "  - file: chapters/lines/straight\n  - file: chapters/lines/curved\n")
        self.write("requirements.txt", "mxnet==1.9.1\n")
        self.write("pyproject.toml", "")
        self.write("d2l/__init__.py", "answer = 42\n")
        shutil.copytree(ROOT / "assets", root / "assets")
        self.write("assets/references.bib",
                   "@book{euclid, title={Elements}, author={Euclid}, publisher={Ratdolt}, year={1482}}\n")
        self.write("chapters/index.md", "# Welcome\n\nTo lines.\n")
        self.write_section("straight", "# Straight\n")
        self.write_section("curved", "# Curved\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write_section(self, name: str, text: str) -> None:
        """A section of chapters/lines that logs its runs: front matter, ``text`` and the logging cell."""
        self.write(f"chapters/lines/{name}.md", FRONT + text + COUNT.replace("NAME", name))

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        (self.root / name).write_text(text.replace(old, new))

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``command`` in the course, where d2l is the course's own."""
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, env={
            **OUTSIDE_MAKE, "RUNS": str(self.runs), "PYTHONPATH": str(self.root), **environment})

    def execute(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "publishing.execute", **environment)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call make; the environment that runs the tests serves as it is, whatever this course pins."""
        return self.run("make", "-o", ".venv/pins-installed", *arguments)

    def ran(self) -> list[str]:
        """The sections that ran since the last call, sorted."""
        names = self.runs.read_text().split() if self.runs.exists() else []
        self.runs.unlink(missing_ok=True)
        return sorted(names)

    def page(self, name: str) -> str:
        return (self.root / f"_build/html/chapters/{name}.html").read_text()


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path)
