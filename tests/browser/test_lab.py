"""A learner's exploration: a real JupyterLab, a real kernel, a notebook of the course."""

import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = ROOT / "chapters/multilayer-perceptrons/model-selection.md"
NOTEBOOK = ROOT / "_build/notebooks/multilayer-perceptrons/model-selection.ipynb"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab as `make lab` starts it, over a folder with two files.

    `course.ipynb` is the notebook up to its first exploration, `section.md` the source of it.
    """
    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    last = next(i for i, cell in enumerate(code) if "d2l.explore(" in cell.source)
    notebook.cells = code[:last + 1]
    nbformat.write(notebook, folder / "course.ipynb")
    shutil.copy(SOURCE, folder / "section.md")
    # Otherwise cells that are not in view are not in the page either, and a question covers it.
    for plugin, settings in {"notebook-extension/tracker": {"windowingMode": "none"},
                             "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}.items():
        file = folder / f"settings/@jupyterlab/{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex()
    environment = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "D2L_STATIC": "",
                   "JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_PREFER_ENV_PATH": "1",
                   "JUPYTER_CONFIG_PATH": str(ROOT / "publishing/jupyter")}
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
             f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"],
            stdout=log, stderr=log, env=environment)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={token}")
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.5)
        yield lambda file: f"http://127.0.0.1:{port}/lab/tree/{file}?token={token}&reset"
    finally:
        server.terminate()
        server.wait()


def test_a_section_opens_as_a_notebook(browser, lab):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(lab("section.md"))
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.close()


def test_a_slider_calls_the_function_for_a_value_that_the_page_does_not_hold(browser, lab):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(lab("course.ipynb"))
    page.get_by_text("| Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    output = page.locator(".jp-OutputArea-output", has=page.locator(".widget-slider")).last
    seed = output.locator(".widget-slider", has_text="seed")
    seed.wait_for()
    drawing, sentence = output.locator("svg g").first, output.get_by_text("Degree 1 on 20 points")
    before = drawing.inner_html(), sentence.inner_text()
    seed.locator("[role=slider]").press("ArrowRight")  # the page has seed 0 only
    page.wait_for_function("([e, text]) => e.innerText !== text", arg=[sentence.element_handle(), before[1]])
    assert output.locator("svg g").first.inner_html() != before[0]
    assert seed.locator(".widget-readout").inner_text() == "1"
    page.close()
