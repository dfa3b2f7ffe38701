"""The notebook of the docs, run in a real kernel; kernels that are interrupted, restarted and ended."""

from __future__ import annotations

import os
import queue
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from tests.conftest import ROOT

pytestmark = pytest.mark.jvm
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
START = """
import os, threading, time
import numpy as np
import fijibridge as fb
fiji = fb.Fiji.start("embedded", mode="headless")
tissue = fb.synthetic_epithelium((96, 96), cell_size=20, seed=0)
pair = (tissue.image, fb.membrane_target(tissue.labels, membrane_width=3))
net = fb.UNet(depth=1, width=2)

def say_when_it_goes_on():
    "Close the curves, and say so when they are there again."
    for title in fiji.titles("Training*"):
        fiji.close_image(title)
    def look():
        while not fiji.titles("Training*"):
            time.sleep(0.05)
        print("it goes on", flush=True)
    threading.Thread(target=look, daemon=True).start()
"""
TRAINING = "fb.train(net, [pair], epochs=100_000, batches=2, batch=1, patch=(32, 32))"


@pytest.fixture
def ours(tmp_path, monkeypatch) -> Path:
    """Let kernels run this Python, without anything of the user's, and keep temporary files apart."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "TMPDIR"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_the_notebook_of_the_docs_runs(ours):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells), (
        "outputs are stripped"
    )
    before = processes()
    client = NotebookClient(
        notebook, timeout=300, kernel_manager_class=OurKernel, resources={"metadata": {"path": ours}}
    )
    client.execute()
    shown = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "execute_result":
                shown[cell.source.splitlines()[-1]] = output.data
    for last in ("fiji", "rois[0]", "raw", "run", "matching", "table.head()"):
        assert "text/html" in shown[last], f"{last} has a rich display"
    assert "image/png" in next(data for last, data in shown.items() if last.startswith("fb.thumbnail(cells"))
    assert {"known", "unseen", "cells"} <= set(re.findall(r"alt=\"([^\"]+)", shown["fiji"]["text/html"]))
    assert_nothing_is_left(before, set())


def test_a_training_that_is_interrupted_is_handed_back_and_the_session_lives(kernel):
    kernel(START)
    kernel(f"say_when_it_goes_on(); run = {TRAINING}", interrupt_after="it goes on")
    assert "interrupted by Ctrl-C" in kernel("print(run.stopped_because)")
    assert kernel("fiji.show(np.ones((3, 4)), name='a'); print(fiji.array('a').sum())") == "12.0\n"
    assert kernel("print(fiji.run_macro('return \"alive\";'))") == "alive\n"
    assert kernel("print([t.name for t in threading.enumerate() if 'training' in t.name])") == "[]\n"


def test_work_that_is_interrupted_ends_with_keyboardinterrupt_and_the_session_lives(kernel):
    kernel(START + "model = fb.Model(net.eval(), ('other', 'membrane')); image = np.tile(tissue.image.values, (8, 8))")
    kernel("prob = fb.predict(model, tissue.image)")
    for work in (
        "while True: fb.predict(model, image)",
        "while True: fiji.show(image, name='big'); fiji.image('big')",
        "while True: fiji.run_macro('for (i = 0; i < 50; i++) wait(1);')",
        "while True: fb.label_cells(prob, membrane=0)",
        "fiji.run_macro('for (i = 0; i < 2000; i++) wait(1);'); time.sleep(60)",
    ):
        assert kernel(work, interrupt_after=1.0) == "KeyboardInterrupt", work
        assert kernel("fiji.show(np.ones((3, 4)), name='a'); print(fiji.array('a').sum())") == "12.0\n"
        assert kernel("print(fiji.run_macro('return \"alive\";'))") == "alive\n"
        assert kernel("print(fb.predict(model, tissue.image).shape)") == "(2, 96, 96)\n"


def work_on(kernel: Kernel) -> int:
    """Let a kernel train, show images and run a macro; return the id of its process."""
    kernel("run = " + TRAINING[:-1] + ", background=True)")
    kernel("fiji.show(np.zeros((50, 60)), name='a'); fiji.run_macro('newImage(\"b\", \"8-bit\", 9, 9, 1);')")
    kernel("threading.Thread(target=lambda: fiji.run_macro('while (true) wait(10);'), daemon=True).start()")
    return int(kernel("print(os.getpid())"))


@pytest.mark.parametrize("now", [False, True], ids=["restarted and shut down", "killed"])
def test_a_kernel_that_ends_in_the_middle_leaves_nothing(ours, now):
    before = processes()
    kernel = Kernel()
    kernel(START)
    pid = work_on(kernel)
    assert processes() != before
    shared = shared_memory()
    if not now:
        kernel.restart()
        assert not Path(f"/proc/{pid}").exists()
        kernel(START)
        assert kernel("print(fiji.titles())") == "[]\n"
        work_on(kernel)
    kernel.close(now=now)
    assert_nothing_is_left(before, shared)
    theirs = ("hsperfdata", "torchinductor")  # of Java and torch
    assert [p.name for p in (ours / "TMPDIR").iterdir() if not p.name.startswith(theirs)] == []


@pytest.mark.usefixtures("display")
def test_the_windows_of_a_kernel_go_with_it(ours, display, monkeypatch):
    monkeypatch.setenv("DISPLAY", display)
    before = processes()
    kernel = Kernel()
    kernel(START.replace("headless", "interactive"))
    kernel("fiji.show(np.zeros((50, 60)), name='a')")
    assert kernel("while True: fiji.show(np.zeros((50, 60)), name='a')", interrupt_after=1.0) == "KeyboardInterrupt"
    kernel.restart()
    kernel(START.replace("headless", "interactive"))
    assert kernel("print(fiji.titles())") == "[]\n"
    shared = shared_memory()
    kernel.close()
    assert_nothing_is_left(before, shared)


# --- kernels ----------------------------------------------------------------------------------------


class OurKernel(KernelManager):
    """A kernel of the Python that runs the tests, wherever it is installed."""

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        return [sys.executable, "-m", "ipykernel_launcher", "-f", self.connection_file, *(extra_arguments or [])]


class Kernel:
    """A running kernel; calling it runs a cell, and returns what it printed or the name of its error."""

    def __init__(self) -> None:
        self._manager = OurKernel()
        self._manager.start_kernel(cwd=ROOT)
        self._connect()

    def _connect(self) -> None:
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def __call__(self, code: str, interrupt_after: float | str | None = None) -> str:
        """Run a cell; interrupt it after some seconds, or when it printed something."""
        asked = self._client.execute(code)
        begun, told = time.monotonic(), ""
        due = begun + interrupt_after if isinstance(interrupt_after, float) else float("inf")
        while time.monotonic() < begun + 120:
            if isinstance(interrupt_after, str) and interrupt_after in told:
                due = min(due, time.monotonic())
            if time.monotonic() >= due:
                self._manager.interrupt_kernel()
                interrupt_after, due = 0.0, float("inf")
            try:
                message = self._client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                told += content["text"]
            elif kind == "error":
                told = content["ename"]
                assert interrupt_after is not None, "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                return told
        raise AssertionError(f"the cell did not end: {code}")

    def restart(self) -> None:
        self._client.stop_channels()
        self._manager.restart_kernel()
        self._connect()

    def close(self, now: bool = False) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=now)


@pytest.fixture
def kernel(ours) -> Iterator[Callable[..., str]]:
    running = Kernel()
    yield running
    running.close()


def processes() -> set[str]:
    """Return the processes that this one started, with all that they started."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            parents[folder.name] = re.match(r".*\) (\S) (\d+)", stat, re.DOTALL).groups()
    below = {str(os.getpid())}
    while more := {pid for pid, (state, parent) in parents.items() if parent in below and state != "Z"} - below:
        below |= more
    return below


def shared_memory() -> set[Path]:
    """Return the shared memory that those processes have, and not others that test at the same time."""
    found = set()
    for pid in processes():
        try:
            mapped = Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            continue
        found |= {Path(name) for name in re.findall(r"/dev/shm/\S+", mapped)}
    return found


def assert_nothing_is_left(before: set[str], shared: set[Path]) -> None:
    last = time.monotonic() + 20
    while (processes() != before or any(path.exists() for path in shared)) and time.monotonic() < last:
        time.sleep(0.1)
    assert processes() == before
    assert not [path for path in shared if path.exists()]
