"""The doors: what `make` promises to a newcomer, and that a second build runs what changed and nothing else."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from publishing import preflight
from small_course import OUTSIDE_MAKE, ROOT, course  # noqa: F401

DOORS = {"site", "serve", "notebooks", "lab", "test", "bench", "clean"}


def test_plain_make_lists_every_door_with_a_line_each():
    listing = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, env=OUTSIDE_MAKE).stdout
    described = dict(re.findall(r"^ +([a-z]+) +(\S.*)$", listing, re.MULTILINE))
    assert set(described) == DOORS


# Which Python

@pytest.mark.parametrize("version, system, machine, venv, missing, says", [
    ((3, 10, 4), "Linux", "x86_64", True, (), "Python 3.10 is not supported: install Python 3.11 or 3.12"),
    ((3, 13, 0), "Linux", "x86_64", True, (), "Python 3.13 is not supported: install Python 3.11 or 3.12"),
    ((2, 7, 18), "Darwin", "x86_64", True, (), "Python 2.7 is not supported"),
    ((3, 12, 1), "Windows", "AMD64", True, (), "no wheels for Windows. Use Google Colab or the dev container"),
    ((3, 12, 1), "Darwin", "arm64", True, (), "Apple silicon. Use Google Colab or the dev container"),
    ((3, 12, 1), "Linux", "riscv64", True, (), "no wheels for Linux on riscv64"),
    ((3, 11, 2), "Linux", "x86_64", False, (), "apt install python3.11-venv"),
    ((3, 11, 2), "Linux", "x86_64", True, ("libgomp1",), "apt install libgomp1"),
])
def test_a_machine_that_cannot_run_the_course_is_told_in_one_line_what_to_do(
        version, system, machine, venv, missing, says):
    problem = preflight.problem(version, system, machine, venv, missing)
    assert says in problem and "\n" not in problem


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 9)])
@pytest.mark.parametrize("system, machine", [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "x86_64")])
def test_a_machine_that_can_run_the_course_is_let_through(version, system, machine):
    assert preflight.problem(version, system, machine, True) is None


class Workshop:
    """A folder with the Makefile and stand-ins for Python and pip that note what they are asked to do."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log.txt"
        for name in ("Makefile", "publishing"):
            (root / name).symlink_to(ROOT / name)
        (root / "requirements.txt").touch()
        (root / "pyproject.toml").touch()
        (root / "bin").mkdir()

    def add(self, path: str, script: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/sh\necho "{Path(path).name} $*" >> {self.log}\n{script}\n')
        file.chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        return subprocess.run(["make", *arguments], cwd=self.root, capture_output=True, text=True,
                              env={"PATH": f"{self.root}/bin:/usr/bin:/bin"})


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path)


REFUSING = 'case "$1" in *preflight.py) echo "too old, do this" >&2; exit 1;; esac'
MAKING = 'case "$*" in "-m venv"*) mkdir -p .venv/bin; echo "#!/bin/sh" > .venv/bin/python;; esac'


def test_the_first_python_that_is_supported_makes_the_environment(workshop):
    workshop.add("bin/old", REFUSING)
    workshop.add("bin/right", MAKING)
    workshop.add("bin/other", MAKING)
    assert workshop.make(".venv/bin/python", "PYTHON=missing old right other").returncode == 0
    made = [line for line in workshop.log.read_text().splitlines() if "venv" in line]
    assert made == ["right -m venv --clear --without-pip .venv"]


def test_no_supported_python_ends_with_the_line_that_says_what_to_do(workshop):
    workshop.add("bin/old", REFUSING)
    done = workshop.make("site", "PYTHON=missing old")
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("make")] == ["too old, do this"]


def test_no_python_at_all_ends_with_the_line_that_says_what_to_do(workshop):
    done = workshop.make("site", "PYTHON=missing")
    assert done.returncode != 0
    assert "There is no missing here: install Python 3.12 with venv." in done.stderr


def test_an_interrupted_installation_is_done_again_and_a_whole_one_is_not(workshop):
    workshop.add(".venv/bin/python", 'case "$*" in *editable*) exit 1;; esac')
    assert workshop.make(".venv/pins-installed").returncode != 0
    workshop.add(".venv/bin/python", "")
    assert workshop.make(".venv/pins-installed").returncode == 0
    assert "--requirement requirements.txt" in workshop.log.read_text()
    assert workshop.make(".venv/pins-installed").returncode == 0
    assert workshop.log.read_text() == ""


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_changed_pins_are_installed(workshop, name):
    workshop.add(".venv/bin/python", "")
    workshop.make(".venv/pins-installed")
    (workshop.root / name).write_text("changed")
    later = (workshop.root / ".venv/pins-installed").stat().st_mtime + 10
    subprocess.run(["touch", "-d", f"@{later}", workshop.root / name], check=True)
    workshop.make(".venv/pins-installed")
    assert "--requirement requirements.txt" in workshop.log.read_text()


# What a build runs

def test_make_site_runs_what_changed_and_shows_it(course):
    course.write_section("straight", "# Straight\n\n```{code-cell}\nimport d2l\nprint('says', d2l.answer)\n```\n")
    built = course.make("site")
    assert built.returncode == 0, built.stderr
    assert course.ran() == ["curved", "straight"]
    assert "says 42" in course.page("lines/straight")
    assert built.stdout.splitlines()[-1] == (
        f"The site is in _build/html. Open file://{course.root}/_build/html/index.html, or: make serve")

    assert course.make("site").returncode == 0
    assert course.ran() == []

    course.edit("chapters/lines/curved.md", "# Curved", "# Bent")
    assert course.make("site").returncode == 0
    assert course.ran() == []
    assert "Bent" in course.page("lines/curved")

    course.write("d2l/__init__.py", "answer = 43\n")
    assert course.make("site").returncode == 0
    assert course.ran() == ["curved", "straight"]
    assert "says 43" in course.page("lines/straight")


def test_a_section_whose_code_changed_is_run_alone(course):
    course.execute()
    course.ran()
    course.edit("chapters/lines/straight.md", "import os", "import math, os")
    course.execute()
    assert course.ran() == ["straight"]


def test_a_section_whose_tags_changed_is_run_again(course):
    course.write_section("straight", "\n```{code-cell}\n:tags: [hide-input]\n\n1\n```\n")
    course.execute()
    course.ran()
    course.edit("chapters/lines/straight.md", "hide-input", "hide-output")
    course.execute()
    assert course.ran() == ["straight"]


@pytest.mark.parametrize("name", ["requirements.txt", "d2l/__init__.py", "d2l/style.css", "chapters/lines/data.csv"])
def test_all_sections_are_run_again_when_what_they_share_changed(course, name):
    course.execute()
    course.ran()
    course.write(name, "# changed\n")
    course.execute()
    assert course.ran() == ["curved", "straight"]


def test_compiled_modules_do_not_count_as_a_change(course):
    course.execute()
    course.ran()
    course.write("d2l/__pycache__/compat.pyc", "compiled")
    course.execute()
    assert course.ran() == []


# What continuous integration, Binder and the dev container call

def commands() -> list[tuple[str, str]]:
    """Where a command stands, and the command."""
    found = [(".ci/run", (ROOT / ".ci/run").read_text().splitlines()[-1])]
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    found.append(("devcontainer.json", container["postCreateCommand"]))
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            found += [(path.name, step["run"]) for step in job["steps"] if "run" in step]
    return found


@pytest.mark.parametrize("place, command", commands())
def test_automation_calls_doors_that_exist(place, command):
    if command == "bash .ci/run":
        return
    assert re.fullmatch(r"make [a-z]+", command) and command.split()[1] in DOORS


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_pin_their_actions_and_ask_for_few_rights(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", step.get("uses", "actions/none@v0.0.0"))


def test_ci_stops_at_the_first_error_and_can_be_run():
    script = ROOT / ".ci/run"
    assert "set -euo pipefail" in script.read_text() and script.stat().st_mode & 0o111
    subprocess.run([shutil.which("bash"), "-n", script], check=True)


def test_binder_installs_the_pins_and_the_module():
    assert (ROOT / ".binder/requirements.txt").read_text().split() == ["-r", "../requirements.txt"]
    assert (ROOT / ".binder/runtime.txt").read_text().strip() in ("python-3.11", "python-3.12")
    assert (ROOT / ".binder/postBuild").stat().st_mode & 0o111


def test_the_lock_of_katex_names_no_registry():
    assert "resolved" not in (ROOT / "publishing/package-lock.json").read_text()
