"""Coding exercises: the reference solution passes the check on the page, the starter fails it.

An exercise of class `coding` holds a code block of class `starter` and one of class `check`; its
solution begins with a code block. The blocks run in a fresh namespace, so a check that leans on
something else of the page fails here as it would for a student.
"""

import pathlib
import re
import textwrap
from typing import NamedTuple

import pytest

CHAPTERS = pathlib.Path(__file__).parents[1] / "chapters"
PRELUDE = """
import d2l, numpy
from mxnet import autograd, gluon, init, np, npx
from mxnet.gluon import nn
"""
DIRECTIVE = re.compile(r"^(?P<fence>`{3,})\{(?P<kind>exercise|solution)\} *(?P<target>\S*)\n(?P<body>.*?)\n(?P=fence)$",
                       re.S | re.M)
BLOCK = re.compile(r"^```\{code-block\} python\n(?::class: (?P<role>\w+)\n)?(?P<code>.*?)\n```$", re.S | re.M)


class Exercise(NamedTuple):
    label: str
    starter: str
    check: str
    solution: str


def coding_exercises():
    for path in sorted(CHAPTERS.rglob("*.md")):
        directives = list(DIRECTIVE.finditer(path.read_text()))
        solutions = {d["target"]: d["body"] for d in directives if d["kind"] == "solution"}
        for exercise in directives:
            if exercise["kind"] == "exercise" and ":class: coding" in exercise["body"]:
                label = re.search(r":label: (\S+)", exercise["body"])[1]
                blocks = {block["role"]: textwrap.dedent(block["code"]) for block in BLOCK.finditer(exercise["body"])}
                solution = BLOCK.search(solutions[label])["code"]
                yield Exercise(label, blocks["starter"], blocks["check"], solution)


EXERCISES = list(coding_exercises())


def run(*blocks):
    namespace = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, "<exercise>", "exec"), namespace)


def test_each_section_has_coding_exercises():
    sections = {"model-selection", "weight-decay", "dropout"}
    for section in sections:
        assert sum(exercise.label.startswith(f"ex-{section}-") for exercise in EXERCISES) >= 3


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.label)
def test_the_solution_passes_and_the_starter_fails(exercise):
    run(PRELUDE, exercise.solution, exercise.check)
    with pytest.raises((AssertionError, NotImplementedError)) as failure:
        run(PRELUDE, exercise.starter, exercise.check)
    assert failure.type is NotImplementedError or str(failure.value), "the check should say what is wrong"


def test_every_exercise_has_a_solution():
    for path in CHAPTERS.rglob("*.md"):
        directives = list(DIRECTIVE.finditer(path.read_text()))
        solved = {d["target"] for d in directives if d["kind"] == "solution"}
        labels = {re.search(r":label: (\S+)", d["body"])[1] for d in directives if d["kind"] == "exercise"}
        assert labels == solved, path.name
