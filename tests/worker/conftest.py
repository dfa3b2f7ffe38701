"""A Fiji that Python did not start: a JVM of its own, with the scripts installed."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fijibridge.java.jars import jars_of
from fijibridge.worker.installation import FOLDER
from tests.engines import JARS as ENGINES

JARS = (
    "net.imagej:ij:1.54p",
    "net.imagej:ij1-patcher:2.0.0",
    "org.scijava:scijava-common:2.100.1",
    "org.apposed:appose:0.9.0",  # brings Groovy
    "org.apache.groovy:groovy-jsr223:4.0.23",
    "org.scijava:parsington:3.1.0",
    "net.java.dev.jna:jna:5.14.0",  # as new as jna-platform
    "com.formdev:flatlaf:3.6.1",  # how Fiji looks
)
DRIVER = Path(__file__).with_name("driver.groovy")
PACKAGE = Path(__file__).with_name("package")
collect_ignore = ["package"]  # to look for doctests in it would put it on this process' path, and its verbs in its menu


class ScriptFailed(Exception):
    """What a script, or other code in the JVM, raised; ``trace`` is Java's."""

    def __init__(self, message: str, trace: str):
        super().__init__(message)
        self.trace = trace
        self.add_note(trace)


class Jvm:
    """A JVM that runs Groovy."""

    def __init__(self, jars: list[Path], folder: Path, headless: bool = True, **environment: str):
        from fijibridge.imagej.installations import find_java

        java = find_java().home / "bin" / "java"
        options = [
            f"-Djava.awt.headless={str(headless).lower()}",
            "-Xmx3g",
            "-XX:+UseG1GC",  # as everywhere but where fijibridge starts Java
            "-XX:TieredStopAtLevel=1",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            f"-Duser.home={folder}",  # whose preferences are nobody's
        ]
        path = os.pathsep.join(map(str, jars))
        self.process = subprocess.Popen(
            [java, *options, "-cp", path, "groovy.ui.GroovyMain", DRIVER], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, **environment}, text=True, encoding="ascii", cwd=folder,
        )  # fmt: skip

    def __call__(self, code: str, /, **values: Any) -> Any:
        """Run Groovy code with some variables, and return its value."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"code": textwrap.dedent(code), "values": values}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, f"the JVM ended with {self.process.wait()}"
        answer = json.loads(line)
        if "error" in answer:
            raise ScriptFailed(answer["error"], answer["trace"])
        return answer["value"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0


@pytest.fixture(scope="session")
def jars() -> list[Path]:
    """ImageJ, SciJava, Groovy and Appose."""
    return find_jars()


def find_jars() -> list[Path]:
    """Return the jars of a Fiji's core and of its languages, from Maven Central or the user's cache."""
    languages = [jar for name, found in ENGINES.items() if name != "groovy" for jar in jars_of([found])]
    return [*jars_of(JARS), *languages]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """What the JVM and so its worker have in their environment: ASCII, as in containers, and a package with verbs."""
    return {"LC_ALL": "C", "PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def home(tmp_path_factory, environment) -> Path:
    """The folder of a Fiji in which FijiBridge is installed."""
    folder = tmp_path_factory.mktemp("a Fiji") / "Fiji.app"
    (folder / "jars").mkdir(parents=True)
    for jar in ("ij-1.54p.jar", "appose-0.9.0.jar"):
        (folder / "jars" / jar).touch()
    command = [sys.executable, "-m", "fijibridge", "install-scripts", folder]
    subprocess.run(command, check=True, env={**os.environ, **environment}, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="session")
def jvm(jars, environment, home) -> Iterator[Jvm]:
    """A running ImageJ of its own, without windows; the worker starts with the first call."""
    running = Jvm(jars, home, **environment)
    running("menu(folder)", folder=str(home / "scripts"))
    yield running
    running.close()


CLOSE = """
    def open = WindowManager.getIDList()?.collect { WindowManager.getImage(it) }
    open.each { it.changes = false; it.close() }
    null
"""


@pytest.fixture
def run(jvm, home) -> Callable[..., Any]:
    """Run the script of a verb with values of its parameters, as SciJava's services do; no image is open before."""
    jvm(CLOSE)

    def script(name: str, /, **values: Any) -> None:
        jvm("script(path, given); null", path=str(home / FOLDER / f"FijiBridge_{name}.groovy"), given=values)

    return script


@pytest.fixture
def kept(run, tmp_path) -> Callable[[str], Any]:
    """Return what Python sees of an image that is open in the other JVM."""

    def keep(title: str) -> Any:
        run("Keep_Image...", image=title, path=str(tmp_path / "kept"))
        return pickle.loads((tmp_path / "kept").read_bytes())

    return keep


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No test leaves shared memory behind."""
    before = shared_memory()
    yield
    last = time.monotonic() + 10
    while (left := shared_memory() - before) and time.monotonic() < last:
        time.sleep(0.05)  # results are freed a moment after the call
    assert not left


def shared_memory() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if name.startswith("psm_")}


@pytest.fixture
def cells() -> np.ndarray:
    """Three cells, with gaps in their ids, the last of one pixel."""
    labels = np.zeros((40, 50), np.uint16)
    labels[2:10, 3:12], labels[20:30, 20:45], labels[35:36, 1:2] = 4, 9, 700
    return labels
