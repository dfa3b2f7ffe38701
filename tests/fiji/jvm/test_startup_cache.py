"""Files that spare work at the next start; each start is a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fijibridge.fiji.jvm import startup, startup_cache
from fijibridge.fiji.jvm.startup import has_dynalink
from fijibridge.imagej.installations import Java
from fijibridge.java import jars
from fijibridge.java.jars import ECJ, EMBEDDED

pytestmark = pytest.mark.jvm

START = """
import numpy as np, jpype, fijibridge as fb
from fijibridge.fiji.jvm import startup
from fijibridge.java.cache import cache_folder
patched = []
java_class = startup.java_class
def noted(name):
    patched.append(name)
    return java_class(name)
startup.java_class = noted
fiji = fb.Fiji.start("embedded", mode="headless")
fiji.show(np.arange(6, dtype=np.uint8).reshape(2, 3), name="a")
assert fiji.run_macro("selectImage('a'); run('Invert'); return '' + getPixel(2, 1);") == "250"
table = jpype.JClass("ij.Menus").getCommands()
assert table.get("FijiBridge About") == 'ij.plugin.FijiBridge("about")'
jpype.JClass("ij.plugin.FijiBridge")  # can be loaded
print("patched" if "net.imagej.patcher.LegacyInjector" in patched else "taken from the cache")
print(sorted(p.name.split("-")[0] for p in cache_folder().iterdir() if not p.name.startswith(("net.", "org."))))
"""


def home_with_jars(folder: Path) -> Path:
    """Make a home that has the jars, and nothing else in its cache."""
    for coordinates in (EMBEDDED, [ECJ]):
        place = folder / "home" / ".jgo" / "fijibridge" / jars.kept(coordinates).name
        place.mkdir(parents=True)
        for jar in jars.jars_of(coordinates):
            shutil.copy2(jar, place / jar.name)
    return folder / "home"


@pytest.fixture
def home(tmp_path) -> Path:
    """A home that has the jars, and nothing else in its cache."""
    return home_with_jars(tmp_path)


@pytest.fixture(scope="module")
def first_start(python, tmp_path_factory) -> tuple[Path, list[str]]:
    """A home in which Fiji was started once, and what that start printed."""
    folder = home_with_jars(tmp_path_factory.mktemp("started"))
    return folder, python(START, HOME=str(folder)).stdout.splitlines()


@pytest.fixture
def used_home(first_start, tmp_path) -> Path:
    """A copy of the home in which Fiji was started once."""
    return Path(shutil.copytree(first_start[0], tmp_path / "home"))


def test_the_second_start_takes_what_the_first_kept(python, first_start):
    home, first = first_start
    assert first[0] == "patched"
    assert "'classes'" in first[1]
    assert "'patched'" in first[1]
    second = python(START, HOME=str(home)).stdout.splitlines()
    assert second == ["taken from the cache", first[1]]


def test_a_java_without_an_archive_of_its_classes_gets_one(python, home):
    """The wheel's Java; it says nothing about the archive, and the second start opens it."""
    alone = {"HOME": str(home), "JAVA_HOME": None, "PATH": "/nowhere"}
    first = python(START, **alone)
    assert "java" in first.stdout.splitlines()[1]
    opened = """
import jpype
with open("/proc/self/maps") as maps:
    print("archive in use:", any(".jsa" in line for line in maps))
"""
    second = python(START + opened, **alone)
    assert second.stdout.splitlines()[-1] == "archive in use: True"
    assert first.stderr == second.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_cache_that_can_only_be_read_is_done_without(python, home):
    """A folder in the place of each file stands for it: root may write anywhere."""
    cache = home / ".jgo" / "fijibridge"
    blocked = """
    import fijibridge.fiji.jvm.startup_cache as cache_module
    import fijibridge.java.compiler as compiler_module
    from contextlib import contextmanager
    @contextmanager
    def refused(path):
        raise PermissionError(f"read-only: {path}")
        yield
    cache_module.atomic = compiler_module.atomic_folder = refused
    """
    for _ in range(2):
        done = python("\n".join(line[4:] for line in blocked.splitlines()) + START, HOME=str(home))
        assert done.stdout.splitlines()[0] == "patched"
    assert {p.name for p in cache.iterdir()} == {jars.kept(c).name for c in (EMBEDDED, [ECJ])}


def test_other_jars_or_another_mode_need_another_file(tmp_path, monkeypatch):
    monkeypatch.setattr(startup_cache, "cache_folder", lambda: tmp_path)
    jar = tmp_path / "ij-1.54p.jar"
    jar.write_bytes(b"one")
    first = startup_cache.patched_jar([jar], headless=True)
    assert first != startup_cache.patched_jar([jar], headless=False)
    assert first == startup_cache.patched_jar([jar], headless=True)
    jar.write_bytes(b"another")
    assert first != startup_cache.patched_jar([jar], headless=True)


def test_javascript_needs_a_module(tmp_path):
    release = tmp_path / "release"
    release.write_text('JAVA_VERSION="21.0.8"\nMODULES="java.base java.desktop"\n')
    assert not has_dynalink(Java(tmp_path, 21, "JAVA_HOME"))
    release.write_text('JAVA_VERSION="21.0.8"\nMODULES="java.base jdk.dynalink"\n')
    assert has_dynalink(Java(tmp_path, 21, "JAVA_HOME"))
    release.write_text('JAVA_VERSION="21.0.8"\n')
    assert has_dynalink(Java(tmp_path, 21, "JAVA_HOME")), "who does not say is believed to have it"


@pytest.mark.parametrize("broken", ["patched-*.jar", "classes-*/**/*.class"])
def test_a_broken_file_in_the_cache_is_made_anew(python, used_home, broken):
    home = used_home
    cache = home / ".jgo" / "fijibridge"
    assert python(START, HOME=str(home)).stdout.splitlines()[0] == "taken from the cache"
    files = list(cache.glob(broken))
    sizes = [file.stat().st_size for file in files]
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:60])
    again = python(START, HOME=str(home)).stdout.splitlines()
    assert again[0] == ("patched" if broken.startswith("patched") else "taken from the cache")
    python(START, HOME=str(home))
    assert [file.stat().st_size for file in files] == sizes


def test_a_jar_that_another_process_wrote_meanwhile_is_not_taken_for_ours(python, used_home):
    """It was not there when the class path was made, and is when the JVM runs."""
    home = used_home
    cache = home / ".jgo" / "fijibridge"
    (jar,) = cache.glob("patched-*.jar")
    hidden = jar.rename(cache / "hidden")
    meanwhile = f"""
import os, jpype
start = jpype.startJVM
def started(*arguments, **options):
    os.rename({str(hidden)!r}, {str(jar)!r})
    return start(*arguments, **options)
jpype.startJVM = started
"""
    assert python(meanwhile + START, HOME=str(home)).stdout.splitlines()[0] == "patched"


def test_scyjava_converts_where_it_was_imported_before(python):
    python(
        """
        import scyjava
        seen = []
        scyjava.when_jvm_starts(lambda: seen.append("started"))
        import fijibridge as fb
        fb.Fiji.start("embedded", mode="headless")
        assert seen == ["started"]
        assert str(scyjava.to_java([1, 2])) == "[1, 2]"
        """
    )


def test_a_java_that_cannot_write_an_archive_is_asked_once(tmp_path, monkeypatch):
    asked = []

    def fails(java, path):
        asked.append(path)
        raise subprocess.CalledProcessError(1, "java")

    monkeypatch.setattr(startup_cache, "class_archive", lambda java: tmp_path / "java-1.jsa")
    monkeypatch.setattr(startup_cache, "write_class_archive", fails)
    for _ in range(2):
        assert startup._archive_options(Java(tmp_path, 21, "JAVA_HOME")) == []
    assert len(asked) == 1
