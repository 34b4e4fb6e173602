"""Publishing: what becomes of a cell that fails, of a build that is killed, of a formula, an output, a notebook."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from publishing import execute
from publishing.sections import Problem, read_sections
from small_course import ROOT, course  # noqa: F401


def cell(source: str, tags: str = "") -> str:
    """A code cell; in a section that starts with it, its code begins on line 7, that of the next one on 11."""
    option = f":tags: [{tags}]\n\n" if tags else ""
    return f"\n```{{code-cell}}\n{option}{source}\n```\n"


# Running

FAILURES = {
    "raises": ("x = 1\nraise ValueError('strength -1')", "raised ValueError: strength -1"),
    "cannot-be-read": ("x = = 1", "raised SyntaxError"),
    "dies": ("import os; os.kill(os.getpid(), 9)", "ended the Python that ran it"),
    "warns": ("import warnings; warnings.warn('careful')", "warns"),
}


def test_notebooks_that_fail_end_the_build_with_place_and_error_and_the_others_are_kept(course):
    for name, (source, _) in FAILURES.items():
        course.edit("_toc.yml", "chapters:\n", f"chapters:\n  - file: chapters/lines/{name}\n")
        course.write_section(name, cell("1") + cell(source))
    failed = course.execute()
    assert failed.returncode == 1
    for name, (source, error) in FAILURES.items():
        assert f"\nchapters/lines/{name}.md:11: cell 2 {error}" in failed.stderr
        assert source.splitlines()[-1] in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("4 of 6 notebooks failed: ")
    course.ran()

    for name in FAILURES:
        course.write_section(name, "")
    assert course.execute().returncode == 0
    assert course.ran() == sorted(FAILURES)


def test_a_notebook_past_its_limit_is_stopped_though_each_cell_is_within(course, monkeypatch, capsys):
    course.write_section("straight", cell("import time; time.sleep(4)") + cell("time.sleep(4)"))
    monkeypatch.setenv("RUNS", str(course.runs))
    monkeypatch.setattr(execute, "LIMIT", 6)
    with pytest.raises(Problem, match="1 of 2 notebooks failed"):
        execute.execute(course.root)
    assert re.search(r"straight.md:\d+: cell [12] was still running after 6 s, the limit", capsys.readouterr().err)


def test_progress_names_each_notebook_with_its_seconds_as_it_finishes(course):
    lines = course.execute().stdout.splitlines()
    assert re.fullmatch(r"Notebooks: 2 of 2 to run, \d at a time", lines[0])
    assert {re.sub(r"\d+\.\d s", "N s", line.partition("] ")[2]) for line in lines[1:]} == {
        "chapters/lines/straight: done in N s", "chapters/lines/curved: done in N s"}
    assert [line.partition("]")[0] for line in lines[1:]] == ["[1/2", "[2/2"]


def test_what_is_said_on_stderr_is_not_lost_but_progress_bars_are(course):
    course.write_section("straight", cell(
        "import sys, tqdm\nprint('odd', file=sys.stderr)\nfor i in tqdm.tqdm([1]): pass"))
    done = course.execute()
    assert done.returncode == 0
    assert done.stderr.splitlines() == ["chapters/lines/straight.md:7: cell 1 says on stderr", "odd"]


def test_a_build_that_is_killed_keeps_what_was_done_and_does_the_rest_again(course):
    course.write_section("straight", cell("import time; time.sleep(300)"))
    builder = subprocess.Popen([sys.executable, "-m", "publishing.execute"], cwd=course.root, stdout=subprocess.PIPE,
                               text=True, env={**os.environ, "RUNS": str(course.runs)})
    assert any("curved: done" in line for line in builder.stdout)
    builder.kill()
    builder.wait()
    course.ran()
    course.edit("chapters/lines/straight.md", "300", "0")
    assert course.execute().returncode == 0
    assert course.ran() == ["straight"]


@pytest.mark.parametrize("damage", [
    lambda entry: entry.write_text(entry.read_text()[:100]),
    lambda entry: entry.unlink(),
    lambda entry: (entry.unlink(), entry.parent.rmdir()),
], ids=["half a file", "no file", "no folder"])
def test_an_entry_that_a_killed_build_left_unfinished_is_no_run(course, damage):
    course.execute()
    course.ran()
    entries = (course.root / execute.CACHE).glob("executed/*/base.ipynb")
    [entry] = [path for path in entries if "curved" in path.read_text()]
    damage(entry)
    assert course.execute().returncode == 0
    assert course.ran() == ["curved"]


def test_ctrl_c_stops_the_notebooks_and_says_so(course):
    course.write_section("straight", cell(
        "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(3000)"))
    builder = subprocess.Popen([sys.executable, "-m", "publishing.execute"], cwd=course.root, stderr=subprocess.PIPE,
                               text=True, env={**os.environ, "RUNS": str(course.runs)},
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    note = course.root / "chapters/lines/pid"
    while not (note.exists() and note.read_text()):
        time.sleep(0.1)
    builder.send_signal(signal.SIGINT)
    try:
        _, said = builder.communicate(timeout=120)
    finally:
        builder.kill()
    assert said.splitlines()[-1] == "Stopped. What was done is kept."
    assert builder.returncode == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_the_environment_of_the_build_runs_the_notebooks_whatever_kernel_the_user_has(course):
    kernel = course.root / "home/kernels/python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(
        {"argv": ["/bin/false", "{connection_file}"], "display_name": "Mine", "language": "python"}))
    course.write_section("straight", cell(f"import sys\nassert sys.executable == {sys.executable!r}"))
    done = course.execute(JUPYTER_PATH=str(course.root / "home"), HOME=str(course.root / "home"))
    assert done.returncode == 0, done.stderr


def test_notebooks_are_told_to_draw_static_explorations_with_one_thread_each(course):
    course.write_section("straight", cell(
        "import os\nassert os.environ['D2L_STATIC'] == '1' and os.environ['OMP_NUM_THREADS'] == '1'"))
    assert course.execute(OMP_NUM_THREADS="8").returncode == 0


def test_entries_of_sections_that_are_gone_are_removed(course):
    course.execute()
    course.edit("_toc.yml", "  - file: chapters/lines/curved\n", "")
    (course.root / "chapters/lines/curved.md").unlink()
    course.execute()
    kept = list((course.root / execute.CACHE).glob("executed/*/base.ipynb"))
    assert len(kept) == 1 and "straight" in kept[0].read_text()
    assert len(execute.open_cache(course.root).list_cache_records()) == 1


# Sources

def test_a_section_that_is_missing_from_the_order_is_named(course):
    course.write("chapters/lines/lost.md", "# Lost\n")
    with pytest.raises(Problem, match="_toc.yml leaves out chapters/lines/lost.md"):
        read_sections(course.root)


def test_a_section_that_does_not_exist_is_named(course):
    (course.root / "chapters/lines/curved.md").unlink()
    with pytest.raises(Problem, match="_toc.yml names chapters/lines/curved, but there is no"):
        read_sections(course.root)


def test_a_section_for_another_kernel_is_named(course):
    course.edit("chapters/lines/curved.md", "kernelspec: {name: python3}", "kernelspec: {name: julia}")
    with pytest.raises(Problem, match=r"chapters/lines/curved.md:1: .*python3.*, not julia"):
        read_sections(course.root)


# The site

PAGE = """\
(sec-straight)=
# Straight

A line {cite}`euclid` is $y = w x$, and

$$
E = mc^2
$$ (eq-energy)

See {eq}`eq-energy`.

```{exercise} Draw
:label: ex-draw
One.
```

```{solution} ex-draw
:class: dropdown
Drawn.
```

```{bibliography}
```
"""
TWO_FACES = """
from IPython.display import display
display({"text/html": "<p>STATIC FACE</p>", "image/png": "iVBORw0KGgo=", "image/svg+xml": "<svg></svg>",
         "application/vnd.jupyter.widget-view+json": {"model_id": "1", "version_major": 2, "version_minor": 0}},
        raw=True)
"""


def test_a_page_has_mathematics_numbers_citations_and_the_static_face_and_asks_no_other_host(course):
    course.write_section("straight", PAGE + cell(TWO_FACES) + cell("import sys; print('HIDDEN', file=sys.stderr)"))
    course.write_section("curved", "# Curved\n\nAfter {ref}`sec-straight`, {ref}`ex-draw`.\n")
    built = course.make("site")
    assert built.returncode == 0, built.stderr
    page = course.page("lines/straight")
    assert page.count('class="katex-display"') == 1 and '<span class="mathnormal">' not in page
    assert "<math" in page and not re.search("<script[^>]*mathjax", page, re.IGNORECASE)
    assert '<span class="eqno">(1)' in page and "Exercise 1" in page and "Euclid" in page
    assert "<p>STATIC FACE</p>" in page and "<img" not in page and "<script type=\"application" not in page
    assert "HIDDEN\n" not in page
    assert page.count('type="search"') == 1
    for path in (course.root / "_build/html").glob("**/*.html"):
        text = path.read_text()
        assert not re.search(r"<(?:link|script|img|iframe|source)[^>]*(?:href|src)=[\"']?(?:https?:)?//", text)
        assert not re.search(r"unpkg|jsdelivr|cloudflare|googleapis", text)
    style = (course.root / "_build/html/_static/katex/katex.min.css").read_text()
    for font in re.findall(r"url\((fonts/[^)]+\.woff2)\)", style):
        assert (course.root / "_build/html/_static/katex" / font).is_file()


def test_a_wrong_formula_or_reference_fails_the_build_with_its_place_and_fails_it_again(course):
    course.write_section("straight", "# Straight\n\nWrong: $\\slope{x}$\n\nSee {ref}`sec-nowhere`.\n\n"
                         "And {py:func}`d2l.nothing`.\n")
    for _ in range(2):
        failed = course.make("site")
        assert failed.returncode != 0
        # MyST-NB places text before the first code cell one line too low.
        assert re.search(r"chapters/lines/straight.md:[78]: WARNING: KaTeX.*\\slope", failed.stderr)
        assert re.search(r"chapters/lines/straight.md:(9|10): WARNING: .*sec-nowhere", failed.stderr)
        assert re.search(r"chapters/lines/straight.md:1[12]: WARNING: .*d2l.nothing", failed.stderr)


def test_a_second_build_gives_the_site_that_a_first_one_would(course):
    assert course.make("site").returncode == 0
    before = course.page("lines/straight")
    course.write("assets/site.css", "body { color: navy }\n")
    course.edit("_toc.yml", "  - file: chapters/lines/curved\n", "")
    (course.root / "chapters/lines/curved.md").unlink()
    assert course.make("site").returncode == 0
    style = r'site\.css\?v=(\w+)"'
    assert re.search(style, before)[1] != re.search(style, course.page("lines/straight"))[1]
    assert "navy" in (course.root / "_build/html/_static/site.css").read_text()
    assert not (course.root / "_build/html/chapters/lines/curved.html").exists()


def test_jupyter_book_itself_runs_no_notebook(course):
    assert course.make("site").returncode == 0
    course.ran()
    course.edit("chapters/lines/curved.md", "import os", "import math, os")
    book = course.run(".venv/bin/jupyter-book", "build", ".", "-q")
    assert book.returncode != 0 and "chapters/lines/curved.md has not been run: make site runs it" in book.stderr
    assert course.ran() == []


# Notebooks for learners

def nbval(course) -> subprocess.CompletedProcess[str]:
    """What `make test` does with the notebooks."""
    return course.run(sys.executable, "-m", "pytest", "_build/notebooks", "-q", "-p", "publishing.nbval_plugin",
                      "--nbval-lax", "--nbval-current-env",
                      "--nbval-sanitize-with", str(ROOT / "tests/nbval_sanitize.cfg"))


def read(course, name: str = "straight") -> dict:
    return json.loads((course.root / f"_build/notebooks/lines/{name}.ipynb").read_text())


def test_an_exported_notebook_has_text_code_and_outputs_and_no_trace_of_this_machine(course):
    course.write_section("straight", "# Straight\n" + cell("import os\nprint(os.getcwd(), os.path.expanduser('~/x'))")
                         + cell(TWO_FACES) + cell("import sys; print('bar', file=sys.stderr)"))
    assert course.make("notebooks").returncode == 0
    text = (course.root / "_build/notebooks/lines/straight.ipynb").read_text()
    assert str(course.root) not in text and str(Path.home()) not in text
    notebook = read(course)
    heading, paths, faces, bar, _ = notebook["cells"]
    assert heading["source"] == ["# Straight"]
    assert "".join(paths["outputs"][0]["text"]) == "chapters/lines ~/x\n"
    assert set(faces["outputs"][0]["data"]) == {"image/png", "image/svg+xml"}
    assert bar["outputs"] == []
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_export_writes_the_same_file_again_and_removes_what_is_gone(course):
    course.make("notebooks")
    first = read(course)
    course.edit("_toc.yml", "  - file: chapters/lines/curved\n", "")
    (course.root / "chapters/lines/curved.md").unlink()
    course.make("notebooks")
    assert read(course) == first
    assert [path.name for path in (course.root / "_build/notebooks").glob("**/*.*")] == ["straight.ipynb"]


def test_nbval_compares_tagged_cells_only_and_not_times_or_progress_bars(course):
    course.write_section("straight", cell(
        "import time, tqdm\nprint('loss 0.25 after', f'{time.perf_counter():.3f} s')\nfor i in tqdm.tqdm([1]): pass",
        "nbval-check-output") + cell("import random; print(random.random())"))
    course.make("notebooks")
    agreed = nbval(course)
    assert agreed.returncode == 0, agreed.stdout
    notebook = read(course)
    notebook["cells"][0]["outputs"][0]["text"][0] = "loss 0.24 after 1 s\n"
    notebook["cells"][1]["outputs"][0]["text"][0] = "another number\n"
    course.write("_build/notebooks/lines/straight.ipynb", json.dumps(notebook))
    differing = nbval(course)
    assert "Cell outputs differ" in differing.stdout and "1 failed" in differing.stdout


def test_nbval_runs_explorations_live(course):
    course.write_section("straight", cell("import ipywidgets\nipywidgets.IntSlider(3)", "nbval-check-output"))
    assert course.make("notebooks").returncode == 0
    agreed = nbval(course)
    assert agreed.returncode == 0, agreed.stdout
