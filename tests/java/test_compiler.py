"""Compiling our Java: what makes classes again, a cache that cannot be written, and errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fijibridge.errors import StartError
from fijibridge.imagej.installations import find_java
from fijibridge.java import compiler, jars
from fijibridge.java.compiler import Target
from tests.worker.conftest import JARS

pytestmark = pytest.mark.jvm

IMAGEJ, *FIJI = JARS


@pytest.fixture(scope="module")
def target() -> Target:
    java = find_java()
    return Target(java.home, str(java.version), "1.54p", tuple(jars.jars_of([IMAGEJ])))


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """An empty cache of classes."""
    monkeypatch.setattr(compiler, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_classes_are_of_java_8_and_compiled_once(target, empty, monkeypatch):
    folder, temporary = compiler.compiled("session", target)
    assert not temporary
    code = (folder / "ij" / "macro" / "FijiBridgeInterpreter.class").read_bytes()
    assert code[:8] == bytes.fromhex("cafebabe00000034")  # class files of Java 8 have version 52
    assert (folder / "fijibridge" / "Rois.class").is_file()
    assert not (folder / "fijibridge" / "foreign").exists(), "needs Appose, which this ImageJ lacks"
    monkeypatch.setattr(compiler, "_compile", None)
    assert compiler.compiled("session", target) == (folder, False)


@pytest.mark.parametrize("version", [compiler.OLDEST_IMAGEJ, "1.54f"])
@pytest.mark.parametrize("part", ["session", "foreign"])
def test_older_imagej_has_all_that_the_sources_use(target, empty, part, version):
    older = tuple(jars.jars_of([f"net.imagej:ij:{version}", *(FIJI if part == "foreign" else ())]))
    folder, _ = compiler.compiled(part, Target(target.java, target.java_version, version, older))
    assert (folder / "fijibridge" / "verbs" / "MacroRecorder.class").is_file()


def test_an_imagej_that_is_too_old_is_told_to_be_updated(target, empty):
    older = Target(target.java, target.java_version, "1.51n", tuple(jars.jars_of(["net.imagej:ij:1.51n"])))
    with pytest.raises(StartError, match=r"needs ImageJ 1\.53t or newer, and this is 1\.51n: update it with Help"):
        compiler.compiled("session", older)
    assert not list(empty.glob("classes-*"))


def test_other_versions_jars_or_sources_have_other_classes(target, tmp_path, monkeypatch):
    key = target.key("session")
    jar = tmp_path / target.class_path[0].name
    jar.write_bytes(b"another")
    others = (
        Target(target.java, "8", target.imagej_version, target.class_path),
        Target(target.java, target.java_version, "1.53t", target.class_path),
        Target(target.java, target.java_version, target.imagej_version, (jar,)),
    )
    assert key not in {other.key("session") for other in others}
    assert key != target.key("foreign")
    monkeypatch.setattr(jars, "ECJ", "org.eclipse.jdt:ecj:0")
    assert key != target.key("session")
    monkeypatch.undo()
    assert key == target.key("session")
    sources = compiler.sources("session")[:-1]
    monkeypatch.setattr(compiler, "sources", lambda part: sources)
    assert key != target.key("session")


def test_a_cache_that_cannot_be_written_gives_temporary_classes(target, empty, monkeypatch):
    def refused(path):
        raise PermissionError(f"read-only: {path}")

    monkeypatch.setattr(compiler, "atomic_folder", refused)
    folder, temporary = compiler.compiled("session", target)
    assert temporary
    assert (folder / "fijibridge" / "Rois.class").is_file()
    compiler.drop(folder)
    assert not folder.exists()
    assert not list(empty.iterdir())


def test_several_processes_compile_at_once(target, tmp_path):
    place = tmp_path / ".jgo" / "fijibridge" / jars.kept([jars.ECJ]).name
    place.parent.mkdir(parents=True)
    place.symlink_to(jars.jars_of([jars.ECJ])[0].parent)
    arguments = ["session", str(target.java), target.java_version, "1.54p", *map(str, target.class_path)]
    command = [sys.executable, "-P", "-m", "fijibridge.java.compiler", *arguments]
    started = [
        subprocess.Popen(command, env={**os.environ, "HOME": str(tmp_path)}, text=True, stdout=-1, stderr=-1)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=240) for process in started]
    assert [err for _, err in said] == [""] * 3
    (answer,) = {out for out, _ in said}
    assert Path(json.loads(answer)["classes"]).is_dir()
    assert not json.loads(answer)["temporary"]
    assert len(list(place.parent.iterdir())) == 2, "the jar, and the classes"


def test_an_error_of_the_compiler_is_told(target, empty):
    wrong = Target(target.java, target.java_version, "1.54p", ())
    with pytest.raises(StartError, match=r"(?s)could not be compiled for Java .* ImageJ 1\.54p.*ij"):
        compiler.compiled("session", wrong)
    assert "could not be compiled" in str(compiler.answer(["session", str(target.java), "17", "1.54p"])["error"])
    gone = Target(empty / "nowhere", target.java_version, "1.54p", target.class_path)
    with pytest.raises(StartError, match=r"could not be compiled with .*nowhere"):
        compiler.compiled("session", gone)
    assert not [path for path in empty.iterdir() if path.name.startswith("classes")]


def test_without_a_network_and_a_compiler_the_error_says_what_to_do(target, tmp_path, monkeypatch):
    monkeypatch.setattr("scyjava.config._cache_dir", tmp_path)
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", "http://127.0.0.1:9")
    with pytest.raises(StartError, match=r"ecj.*did not answer.*connect to the network"):
        compiler.compiled("session", target)
