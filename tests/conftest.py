"""Shared fixtures: the embedded ImageJ, a display, the real images; and no silent skips in CI."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.examples  # which examples hypothesis draws
import tests.warm
from tests.warm import WarmPython

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads of two processes would only get in each other's way

ROOT = Path(__file__).resolve().parent.parent
MARKS = {"fiji": "jvm", "engines": "jvm", "imagej2": "jvm", "display": "gui", "data": "data"}
"""Marks of tests by the fixtures that they use."""
MUST_RUN = ("jvm", "gui", "data", "browser")
_skipped: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fiji", metavar="PATH", help="run the tests in this Fiji instead of the embedded ImageJ")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: tests of Ctrl-C inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--fiji"):
        os.environ["FIJIBRIDGE_TEST_FIJI"] = config.getoption("--fiji")  # the tests' own processes read it too


@pytest.fixture(scope="session")
def where() -> str:
    """The Fiji that the tests of the bridge run in: the folder of --fiji, else the embedded ImageJ."""
    return os.environ.get("FIJIBRIDGE_TEST_FIJI", "embedded")


@pytest.fixture
def fiji(where) -> object:
    """The Fiji of the tests, headless: started once, opened again where a test closed it."""
    import fijibridge as fb

    return fb.Fiji.start(where, mode="headless")


@pytest.fixture
def clean(fiji):
    """The embedded ImageJ with no image open."""
    from fijibridge.fiji.jvm import lifetime

    lifetime.close_everything(interactive=False)
    yield fiji
    lifetime.close_everything(interactive=False)


@pytest.fixture(scope="session")
def engines(where):
    """The languages of ImageJ's scripts, in the Fiji of the tests, headless."""
    import fijibridge as fb
    from tests.engines import Engines

    fb.Fiji.start(where, mode="headless")
    return Engines()


@pytest.fixture(scope="session")
def lines(engines, where, tmp_path_factory):
    """What each line of docs/verbs.md does when a macro of ImageJ's calls it, in the Fiji of the tests, headless."""
    import fijibridge as fb
    from fijibridge.fiji.jvm import lifetime
    from tests.languages import prepared

    fb.Fiji.start(where, mode="headless")
    found = engines.all_done(prepared(tmp_path_factory.mktemp("lines")), "macro")
    lifetime.close_everything(interactive=False)
    return found


@pytest.fixture(scope="session")
def imagej2(tmp_path_factory, where) -> Path:
    """A folder that pyimagej starts: that of --fiji, else one of ImageJ and SciJava, without imglyb's jar."""
    if where != "embedded":
        return Path(where)
    folder = tmp_path_factory.mktemp("imagej2") / "Fiji"
    command = [sys.executable, "-m", "tests.fiji.imagej2", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=300, cwd=ROOT)
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real images; the tests that need it are skipped without it."""
    folder = Path(os.environ.get("FIJIBRIDGE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "cornea_alizarine").is_dir():
        pytest.skip(f"the real images are not at {folder} (set FIJIBRIDGE_DATA)")
    return folder


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A display of its own (Xvfb), so that no window opens on the developer's screen."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (Debian: apt-get install xvfb)")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="session")
def python(where) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code in a Python of its own, with a time limit; its exit status must be the one expected.

    ``WHERE`` in it is the Fiji of the tests.
    """

    def run(code: str, *, timeout: float = 600, status: int = 0, **environment: str | None):
        env = {k: v for k, v in {**os.environ, **environment}.items() if v is not None}
        done = subprocess.run(
            [sys.executable, "-c", f"WHERE = {where!r}\n{textwrap.dedent(code)}"],
            env=env, capture_output=True, text=True, timeout=timeout, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == status, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def here(monkeypatch, capsys) -> Callable[..., str]:
    """The command line in this process, which has loaded what it needs."""
    from fijibridge.app.cli import main

    def run(*arguments: object, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["fijibridge", *map(str, arguments)])
        monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
        with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
            main()
        text = "".join(capsys.readouterr())
        assert end.value.code == status, text
        return text

    return run


@pytest.fixture
def window(warm_python, display, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code in a Python of its own with ImageJ's windows, the hands of tests.people, and preferences of its own."""
    from tests.people import HEAD

    def run(body: str, **environment: str):
        options = f"-Duser.home={tmp_path} -XX:TieredStopAtLevel=1"  # it ends before the better compiler pays
        environment = {"JAVA_TOOL_OPTIONS": options, "FOLDER": str(tmp_path), **environment}
        return warm_python.run(HEAD + textwrap.dedent(body), DISPLAY=display, cwd=ROOT, **environment)

    return run


@pytest.fixture
def evaluate(fiji, engines) -> dict[str, Callable[[str], Any]]:
    """Functions by language that run a script and return its result."""
    from tests.engines import JARS

    return {language: engines.evaluate(language) for language in JARS}


@pytest.fixture(scope="session")
def warm_python() -> WarmPython:
    """Runs scripts in processes of their own that need not import torch."""
    return tests.warm.warm_python()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Let the tests of a file run in one process, and so those of all files that look at windows or shared memory."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            together = nodeid.startswith(("tests/gui/", "tests/worker/", "tests/journeys/foreign/"))
            return "windows" if together else nodeid.split("::")[0]

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures that they use, so that `-m 'not gui'` selects what one expects."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        for fixture, mark in MARKS.items():
            if fixture in names:
                item.add_marker(mark)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and any(mark in report.keywords for mark in MUST_RUN):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped display, browser, JVM or data test fails the run."""
    if os.environ.get("FIJIBRIDGE_NO_SKIPS") == "1" and _skipped:
        print(f"\n{len(_skipped)} tests that must run here were skipped: {', '.join(_skipped)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
