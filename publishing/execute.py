"""Runs the notebooks, several at a time, and keeps their outputs in the cache that Jupyter Book reads.

jupyter-cache's own parallel executor says nothing until all are done, limits the cells but not the notebook, and lets
any installed kernel called python3 run them; so the notebooks are run here, by nbclient, and jupyter-cache keeps them.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import os
import platform
import re
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import joblib
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.db import NbCacheRecord
from jupyter_cache.cache.main import JupyterCacheBase
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

from publishing.sections import Problem, Section, read_sections

CACHE = "_build/.jupyter_cache"
LIMIT = 600
"""Seconds that one notebook may take."""

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "D2L_STATIC": "1"}
"""One thread a notebook, because there is one notebook a core; explorations draw the face that needs no kernel."""


def fingerprint(root: Path) -> str:
    """Digest of what outputs depend on besides the notebook itself.

    The cache knows a notebook by its code and its cells' tags. This adds the shared module, the pins, files that lie
    beside the sections, how notebooks are run, the Python and the variables that steer d2l and MXNet.
    """
    files = [root / "requirements.txt", root / "publishing/execute.py"]
    files += [path for path in root.glob("d2l/**/*") if path.is_file() and "__pycache__" not in path.parts]
    files += [path for path in root.glob("chapters/**/*") if path.is_file() and path.suffix != ".md"]
    digest = hashlib.sha256(f"{platform.python_version()} {platform.machine()}".encode())
    for path in sorted(files):
        digest.update(f"\0{path.relative_to(root)}\0".encode() + path.read_bytes())
    for name in sorted(os.environ):
        if name.startswith(("D2L_", "MXNET_")):
            digest.update(f"\0{name}={os.environ[name]}".encode())
    return digest.hexdigest()


def open_cache(root: Path) -> JupyterCacheBase:
    """The cache of the course at ``root``, emptied if it was filled by another d2l or other pins."""
    path = root / CACHE
    mark = path / "fingerprint"
    current = fingerprint(root)
    if not mark.is_file() or mark.read_text() != current:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        fresh = path / "fingerprint.part"
        fresh.write_text(current)
        fresh.replace(mark)
    return get_cache(path)


def cached(cache: JupyterCacheBase, notebook: NotebookNode) -> NbCacheRecord | None:
    """The run of ``notebook`` or None; what a killed build left without its file, or with half of it, is no run."""
    try:
        record = cache.match_cache_notebook(notebook)
        cache.get_cache_bundle(record.pk)
    except (KeyError, ValueError):
        return None
    return record


@dataclass
class Run:
    """One notebook's run.

    Attributes
    ----------
    section : Section
        Whose notebook it is; the outputs are put into it.
    seconds : float
        How long it took.
    notes : str
        What cells wrote on stderr besides progress bars.
    failure : str or None
        Where and why it failed.
    stopped : bool
        Whether it was told to end.
    """

    section: Section
    kernel: AsyncKernelManager = field(init=False, repr=False)
    seconds: float = 0.0
    notes: str = ""
    failure: str | None = None
    stopped: bool = False

    def __post_init__(self) -> None:
        # No folder is searched for kernels, so python3 is this environment's Python whatever the user has installed.
        self.kernel = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            transport_encryption="auto",
        )

    def __call__(self) -> Run:
        """Run the notebook to its end or to its first error."""
        notebook = self.section.notebook
        start = time.monotonic()
        reached = 0

        def reach(cell: NotebookNode, cell_index: int) -> None:
            nonlocal reached
            reached = cell_index
            if self.stopped:
                raise RuntimeError

        client = NotebookClient(
            notebook,
            km=self.kernel,
            timeout_func=lambda cell: max(1, start + LIMIT - time.monotonic()),
            startup_timeout=LIMIT,
            iopub_timeout=LIMIT,
            raise_on_iopub_timeout=True,  # otherwise a slow machine drops outputs and goes on
            record_timing=False,
            store_widget_state=False,
            on_cell_start=reach,
        )
        client.log.setLevel("CRITICAL")  # what it would say is in the exceptions
        try:
            asyncio.run(
                client.async_execute(
                    cwd=str(self.section.path.parent), env={**os.environ, **ENVIRONMENT}, cleanup_kc=True
                )
            )
            self._read_stderr()
        except CellExecutionError as error:
            trace = next(out.traceback for out in notebook.cells[reached].outputs if out.output_type == "error")
            self.failure = f"{self._place(reached)} raised {error.ename}: {error.evalue}\n{plain(trace)}"
        except CellTimeoutError:
            self.failure = f"{self._place(reached)} was still running after {LIMIT} s, the limit for a notebook\n" + (
                notebook.cells[reached].source
            )
        except RuntimeError:  # the kernel died, at its start or later, or was stopped
            self.failure = f"{self._place(reached)} ended the Python that ran it\n{notebook.cells[reached].source}"
        finally:
            # nbclient forgets to, for a kernel that dies at its start, and fails when the program ends.
            atexit.unregister(client._cleanup_kernel)
        self.seconds = time.monotonic() - start
        return self

    def stop(self) -> None:
        """End the run now, with the processes that it started, or before its next cell."""
        self.stopped = True
        if self.kernel.has_kernel:
            with suppress(ProcessLookupError):
                os.killpg(self.kernel.provisioner.pid, signal.SIGKILL)

    def _place(self, index: int) -> str:
        """The cell at ``index`` as file, line of the source and number among the code cells."""
        notebook = self.section.notebook
        number = sum(cell.cell_type == "code" for cell in notebook.cells[: index + 1])
        return f"{self.section.name}.md:{notebook.metadata.source_map[index] + 1}: cell {number}"

    def _read_stderr(self) -> None:
        """Sort what the site does not show: a warning is a failure, other text a note, a progress bar nothing."""
        for index, cell in enumerate(self.section.notebook.cells):
            for output in cell.get("outputs", []):
                if output.output_type != "stream" or output.name != "stderr":
                    continue
                text = plain([line.rpartition("\r")[2] for line in output.text.splitlines() if "%|" not in line])
                if re.search(r"\b[A-Z]\w*Warning: ", text):
                    self.failure = f"{self._place(index)} warns\n{text}"
                    return
                if text:
                    self.notes += f"{self._place(index)} says on stderr\n{text}\n"


def keep(cache: JupyterCacheBase, run: Run) -> NbCacheRecord:
    """Put ``run`` into the cache, over what a killed build may have left in its place."""
    notebook = run.section.notebook
    _, key = cache.create_hashed_notebook(notebook)
    shutil.rmtree(cache.path / "executed" / key, ignore_errors=True)
    bundle = CacheBundleIn(notebook, str(run.section.path), data={"execution_seconds": run.seconds})
    return cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def plain(lines: list[str]) -> str:
    """Join ``lines`` without the terminal's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines)).strip()


def hide_paths(notebook: NotebookNode, root: Path) -> None:
    """Take this machine's folders out of the outputs' text."""

    def hide(text: str) -> str:
        for folder, shown in ((root, ""), (Path.home(), "~/")):
            if folder != Path(folder.anchor):
                text = text.replace(f"{folder}/", shown)
        return text

    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = hide(output.text)
            if "traceback" in output:
                output.traceback = [hide(line) for line in output.traceback]
            for kind, data in output.get("data", {}).items():
                if isinstance(data, str) and kind.startswith("text/"):
                    output.data[kind] = hide(data)


def execute(root: Path) -> None:
    """Run the notebooks of the course at ``root`` that the cache does not have.

    Raises
    ------
    Problem
        If a notebook failed; the others have been run and kept.
    """
    notebooks = [section for section in read_sections(root) if section.notebook]
    cache = open_cache(root)
    records = {section.name: cached(cache, section.notebook) for section in notebooks}
    runs = [Run(section) for section in notebooks if records[section.name] is None]
    workers = max(1, min(joblib.cpu_count(), len(runs)))
    print(f"Notebooks: {len(runs)} of {len(notebooks)} to run" + (f", {workers} at a time" if runs else ""), flush=True)
    failed = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            futures = [pool.submit(run) for run in runs]
            for done, future in enumerate(as_completed(futures), start=1):
                run = future.result()
                section = run.section
                if run.failure:
                    failed.append(section.name)
                    outcome, details = "failed", f"\n{run.failure}\n\n"
                else:
                    hide_paths(section.notebook, root)
                    records[section.name] = keep(cache, run)
                    outcome, details = "done", run.notes
                print(f"[{done}/{len(runs)}] {section.name}: {outcome} in {run.seconds:.1f} s", flush=True)
                print(details, end="", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for run in runs:
                run.stop()
            raise
    if failed:
        raise Problem(f"{len(failed)} of {len(runs)} notebooks failed: {', '.join(failed)}")
    current = {record.hashkey for record in records.values()}
    for record in cache.list_cache_records():
        if record.hashkey not in current:
            shutil.rmtree(cache.path / "executed" / record.hashkey, ignore_errors=True)
            NbCacheRecord.remove_records([record.pk], cache.db)


if __name__ == "__main__":
    try:
        execute(Path.cwd())
    except KeyboardInterrupt:
        sys.exit("Stopped. What was done is kept.")
