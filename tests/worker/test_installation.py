"""FijiBridge in the menu of a Fiji: installed, renewed, taken out; nothing of the user's is lost."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fijibridge.app import doctor
from fijibridge.app.cli import app
from fijibridge.errors import StartError
from fijibridge.verbs import Image, unregister, verb
from fijibridge.worker import installation
from fijibridge.worker.scripts import scripts as made

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def home(tmp_path) -> Path:
    """The folder of a Fiji, as far as an installation looks at it."""
    folder = tmp_path / "Fijí mit Leerzeichen"
    (folder / "jars").mkdir(parents=True)
    for jar in ("ij-1.54p.jar", "appose-0.9.0.jar"):
        (folder / "jars" / jar).touch()
    (folder / "scripts" / "Plugins").mkdir(parents=True)
    (folder / "scripts" / "Plugins" / "Mine.groovy").write_text("// mine")
    return folder


def files(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


def test_the_scripts_of_the_repository_are_those_that_the_verbs_make():
    there = {p.name: p.read_text() for p in (ROOT / "scripts" / "Plugins" / "FijiBridge").glob("*.groovy")}
    assert there == made(), "run: python -m fijibridge.worker.scripts scripts/Plugins/FijiBridge"


def test_what_is_installed_is_taken_out_again_and_nothing_else(home):
    before = files(home)
    done = installation.install(home)
    names = {p.name for p in done.folder.glob("*.groovy")}
    assert names == set(done.written) == set(made())
    assert {"FijiBridge_Predict....groovy", "FijiBridge_Train_U-Net....groovy", "FijiBridge_About.groovy"} <= names
    text = (done.folder / "FijiBridge_Predict....groovy").read_text(encoding="ascii")
    assert f"python = '{sys.executable}'" in text
    assert version("fijibridge") in text
    assert not done.kept
    assert installation.uninstall(home).removed == sorted(names)
    assert files(home) == before
    assert not done.folder.exists()


def test_twice_is_once(home):
    installation.install(home)
    before = files(home)
    assert installation.install(home).kept == []
    assert files(home) == before


def test_what_the_user_changed_is_kept_and_said(home):
    folder = installation.install(home).folder
    (folder / "FijiBridge_Plan....groovy").write_text("// better")
    (folder / "notes.txt").write_text("mine")
    (folder / "FijiBridge_About.groovy").unlink()
    again = installation.install(home)
    assert again.kept == ["FijiBridge_Plan....groovy"]
    assert "FijiBridge_About.groovy" in again.written
    gone = installation.uninstall(home)
    assert gone.kept == []  # what was kept at the second time is no longer ours
    assert sorted(p.name for p in folder.iterdir()) == ["FijiBridge_Plan....groovy", "notes.txt"]
    assert (folder / "FijiBridge_Plan....groovy").read_text() == "// better"


def test_what_was_changed_is_not_taken_out(home):
    folder = installation.install(home).folder
    (folder / "FijiBridge_Plan....groovy").write_text("// better")
    assert installation.uninstall(home).kept == ["FijiBridge_Plan....groovy"]
    assert [p.name for p in folder.iterdir()] == ["FijiBridge_Plan....groovy"]


def test_a_script_of_the_same_name_is_not_overwritten(home):
    folder = home / installation.FOLDER
    folder.mkdir()
    (folder / "FijiBridge_Predict....groovy").write_text("// somebody's")
    assert installation.install(home).kept == ["FijiBridge_Predict....groovy"]
    installation.uninstall(home)
    assert (folder / "FijiBridge_Predict....groovy").read_text() == "// somebody's"


def test_a_verb_that_comes_and_goes(home):
    @verb("Count Spots...")
    def count(image: Image) -> str:
        """Count."""
        return "7"

    try:
        folder = installation.install(home).folder
        assert "'count_spots'" in (folder / "FijiBridge_Count_Spots....groovy").read_text()
    finally:
        unregister("count_spots")
    assert installation.install(home).removed == ["FijiBridge_Count_Spots....groovy"]
    assert not (folder / "FijiBridge_Count_Spots....groovy").exists()


def test_an_installation_that_breaks_off_can_be_done_again_and_taken_out(home, monkeypatch):
    before = files(home)
    real, count = installation.atomic, 0

    def full(path):
        nonlocal count
        count += 1
        if count == 4:
            raise OSError(28, "No space left on device")
        return real(path)

    monkeypatch.setattr(installation, "atomic", full)
    with pytest.raises(StartError, match="No space left"):
        installation.install(home)
    assert len(list((home / installation.FOLDER).glob("*.groovy"))) == 3
    monkeypatch.undo()
    installation.uninstall(home)
    assert files(home) == before
    assert installation.install(home).kept == []


@pytest.mark.parametrize("given", [".", "Fiji.app", "Fiji.app/Contents/MacOS/fiji-macosx", ".."])
def test_the_layouts_of_a_fiji(tmp_path, given):
    bundle = tmp_path / "Fiji.app"
    (bundle / "jars").mkdir(parents=True)
    (bundle / "jars" / "ij-1.54p.jar").touch()
    (bundle / "Contents" / "MacOS").mkdir(parents=True)
    place = {".": tmp_path, "..": bundle / "plugins"}.get(given, tmp_path / given)
    assert installation.fiji_home(place) == bundle


def test_a_bundle_beside_the_jars(home):
    (home / "Fiji.app" / "Contents" / "MacOS").mkdir(parents=True)
    assert installation.fiji_home(home / "Fiji.app") == home


def test_what_is_no_fiji_is_refused_and_nothing_written(tmp_path):
    result = CliRunner().invoke(app, ["install-scripts", str(tmp_path)])
    assert isinstance(result.exception, StartError)
    assert "no Fiji" in str(result.exception)
    assert not any(tmp_path.iterdir())
    with pytest.raises(StartError, match="no Fiji"):
        installation.uninstall(tmp_path)


def test_nothing_installed(home):
    with pytest.raises(StartError, match="fijibridge's scripts are not installed"):
        installation.uninstall(home)


def test_a_manifest_that_names_files_elsewhere_removes_none(home):
    installation.install(home)
    path = home / installation.FOLDER / installation.MANIFEST
    told = json.loads(path.read_text())
    told["files"]["../Mine.groovy"] = told["files"].pop("FijiBridge_About.groovy")
    path.write_text(json.dumps(told))
    with pytest.raises(StartError, match="other folders"):
        installation.uninstall(home)
    assert (home / "scripts" / "Plugins" / "Mine.groovy").exists()


def test_the_commands(home):
    run = CliRunner()
    installed = run.invoke(app, ["install-scripts", str(home)])
    assert installed.exit_code == 0
    assert f"{len(made())} scripts in" in installed.output
    removed = run.invoke(app, ["uninstall-scripts", str(home)])
    assert removed.exit_code == 0
    assert f"{len(made())} scripts removed" in removed.output


def test_a_fiji_without_appose_is_told_what_to_do(home):
    (home / "jars" / "appose-0.9.0.jar").unlink()
    result = CliRunner().invoke(app, ["install-scripts", str(home)])
    assert result.exit_code == 1
    assert "no Appose" in result.output


def test_the_doctor_looks_at_the_pair(home, monkeypatch):
    monkeypatch.setenv("FIJI_HOME", str(home))
    assert doctor.installed().state == "note"
    assert "install-scripts" in doctor.installed().mend
    folder = installation.install(home).folder
    assert doctor.installed().state == "ok"
    path = folder / installation.MANIFEST
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "python": "/gone/python"}))
    assert (doctor.installed().state, "/gone/python" in doctor.installed().found) == ("note", True)
    path.write_text(json.dumps({**told, "version": "0.0.1"}))
    assert (doctor.installed().state, "0.0.1" in doctor.installed().found) == ("problem", True)
    path.write_text("{")
    assert doctor.installed().state == "problem"
    path.write_text(json.dumps(told))
    (home / "jars" / "appose-0.9.0.jar").unlink()
    assert (doctor.installed().state, "Appose" in doctor.installed().found) == ("problem", True)


def test_a_worker_that_cannot_start_is_told(monkeypatch):
    with pytest.raises(StartError, match="cannot be started"):
        installation.hello("/gone/python")
    with pytest.raises(StartError, match="did not answer"):
        installation.hello(timeout=0.01)
