"""Ends of Fiji and of its worker: no file, memory or process is left."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.files.writer import write_image
from fijibridge.verbs import all_verbs, unregister, verb_named
from fijibridge.worker.installation import FOLDER
from fijibridge.worker.scripts import BRIDGE, file_name, script
from tests.worker.conftest import Jvm, ScriptFailed

pytestmark = pytest.mark.jvm


def appeared(path: Path) -> int:
    """Wait for the file in which a worker writes that it works, and return its process."""
    last = time.monotonic() + 100
    while not path.exists() or not path.read_text():
        assert time.monotonic() < last, "no worker began"
        time.sleep(0.02)
    return int(path.read_text())


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter if it goes while it is read
        return False
    return state != "Z"


def ended(pid: int, within: float = 30) -> bool:
    last = time.monotonic() + within
    while alive(pid) and time.monotonic() < last:
        time.sleep(0.05)
    return not alive(pid)


def written(folder: Path, name: str, **told: str) -> str:
    """Write the script of a verb as install-scripts does, but told otherwise."""
    verb = verb_named(name)
    values = {"python": sys.executable, "bridge": str(BRIDGE), "version": version("fijibridge")} | told
    folder.mkdir(exist_ok=True)
    path = folder / file_name(verb)
    path.write_text(script(verb, **values), encoding="ascii")
    return str(path)


BEGIN = """
    IJ.setProperty('test.failed', null)
    working = Thread.start {
        try { new GroovyShell(new Binding(script: script, path: path, place: place)).evaluate(
            'script(path, [started: place, seconds: 60.0d])') }
        catch (Exception error) { IJ.setProperty('test.failed', error.message) }
    }
    IJ.setProperty('test.working', working)
    null
"""


def test_a_worker_that_is_killed_fails_its_call_and_the_next_one_works(jvm, run, home, tmp_path):
    jvm("IJ.createImage('a', '8-bit ramp', 2000, 1000, 10).show(); null")
    jvm(BEGIN, path=str(home / FOLDER / "FijiBridge_Work....groovy"), place=str(tmp_path / "pid"))
    pid = appeared(tmp_path / "pid")
    os.kill(pid, signal.SIGKILL)
    told = jvm("IJ.getProperty('test.working').join(); IJ.getProperty('test.failed')")
    assert "ended while it worked" in told
    run("Give_Back...", image="a", name="b")
    assert jvm("WindowManager.getImage('b').getStackSize()") == 10


def test_a_worker_that_is_killed_between_two_calls_is_started_anew(jvm, run, tmp_path):
    for name in ("first", "second"):
        run("Work...", started=str(tmp_path / name), seconds=0.0)
        os.kill(int((tmp_path / name).read_text()), signal.SIGKILL)
        assert ended(int((tmp_path / name).read_text()))
    assert (tmp_path / "first").read_text() != (tmp_path / "second").read_text()


def test_a_worker_that_ends_before_it_begins_is_started_anew_for_the_same_call(jvm, run, home, tmp_path):
    """As one that was killed a moment ago and still looks alive."""
    run("Work...", started=str(tmp_path / "first"), seconds=0.0)
    pid = int((tmp_path / "first").read_text())
    os.kill(pid, signal.SIGSTOP)
    jvm(BEGIN, path=str(home / FOLDER / "FijiBridge_Work....groovy"), place=str(tmp_path / "second"))
    time.sleep(1)  # until it was asked; if that takes longer, it is started anew before
    os.kill(pid, signal.SIGKILL)
    assert appeared(tmp_path / "second") != pid
    jvm("IJ.setKeyDown(java.awt.event.KeyEvent.VK_ESCAPE); null")
    assert jvm("IJ.getProperty('test.working').join(50000); IJ.getProperty('test.failed')") == "cancelled"


def test_a_worker_that_is_killed_with_an_image_in_its_hands_frees_it(jvm, run, tmp_path):
    jvm("IJ.createImage('a', '8-bit ramp', 2000, 1000, 10).show(); null")
    with pytest.raises(ScriptFailed, match="ended while it worked"):
        run("Die...", image="a")


def test_escape_while_python_starts_cancels_the_call(jvm, run, home, tmp_path):
    run("Work...", started=str(tmp_path / "first"), seconds=0.0)
    pid = int((tmp_path / "first").read_text())
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)
    jvm(BEGIN, path=str(home / FOLDER / "FijiBridge_Work....groovy"), place=str(tmp_path / "second"))
    time.sleep(0.3)
    jvm("IJ.setKeyDown(java.awt.event.KeyEvent.VK_ESCAPE); null")
    assert jvm("IJ.getProperty('test.working').join(50000); IJ.getProperty('test.failed')") == "cancelled"
    run("About")


def test_results_that_are_gone_are_told_and_not_made_anew(jvm, run):
    """As if the worker were killed just after its last word: Appose would make such a block, and reading end Java."""
    run("About")
    told = {"block": "psm_00000000", "size": 4, "dtype": "uint8", "shape": [4]}
    with pytest.raises(ScriptFailed, match="ended before its results were read"):
        jvm(
            """
            def loader = IJ.getProperty('fijibridge ' + path).@bridge.class.classLoader
            def made = loader.loadClass('fijibridge.foreign.Blocks').getDeclaredConstructor()
            made.setAccessible(true)
            made.newInstance().attached([told])
            """,
            path=str(BRIDGE), told=told,
        )  # fmt: skip


def test_a_script_of_another_version_is_refused(jvm, run, tmp_path):
    run("About")
    path = written(tmp_path / "old", "about", version="0.0.1")
    with pytest.raises(
        ScriptFailed, match=r"script is from fijibridge 0\.0\.1, .* has \d.*install-scripts PATH_TO_FIJI' again"
    ):
        jvm("script(path, [:])", path=path)
    run("About")


def test_an_environment_that_is_gone_is_told(jvm, tmp_path):
    path = written(tmp_path / "gone", "about", bridge="/gone/bridge.groovy", python="/gone/python")
    with pytest.raises(ScriptFailed, match=r"environment of FijiBridge is gone.*/gone/bridge\.groovy.*install-scripts"):
        jvm("script(path, [:])", path=path)
    copy = tmp_path / "bridge.groovy"
    shutil.copy(BRIDGE, copy)
    path = written(tmp_path / "half", "about", bridge=str(copy), python="/gone/python")
    with pytest.raises(ScriptFailed, match=r"environment of FijiBridge is gone: there is no /gone/python"):
        jvm("script(path, [:])", path=path)


def test_an_environment_that_is_gone_ends_macros_and_scripts(jvm, run, tmp_path):
    path = written(tmp_path / "gone", "about", bridge="/gone/bridge.groovy", python="/gone/python")
    jvm("def own = Menus.getCommands(); IJ.setProperty('test.own', own['FijiBridge About']); null")
    jvm("menu(folder)", folder=str(Path(path).parent))
    try:
        call = "run('FijiBridge About', 'x=1'); return 'went on'"
        assert jvm("speak('macro', call)", call=call) != "went on"
        with pytest.raises(ScriptFailed, match="Macro canceled"):
            jvm("speak('groovy', call)", call="ij.IJ.run('FijiBridge About')")
    finally:
        jvm("Menus.getCommands()['FijiBridge About'] = IJ.getProperty('test.own'); null")
    run("About")


def test_a_script_that_was_copied_is_told_to_be_installed(jvm):
    path = Path(__file__).resolve().parents[3] / "scripts" / "Plugins" / "FijiBridge" / "FijiBridge_About.groovy"
    with pytest.raises(ScriptFailed, match="must be installed"):
        jvm("script(path, [:])", path=str(path))


def test_an_error_ends_a_fiji_that_only_runs_the_script(jars, environment, home, tmp_path):
    """As ``fiji --headless --run SCRIPT 'name=value'`` does; else the next command of a shell would go on."""
    jvm = Jvm(jars, tmp_path, **environment)
    run = """
        context.service('org.scijava.console.ConsoleService').processArgs('--run', path, given)
        context.service('org.scijava.startup.StartupService').executeOperations()
        Thread.sleep(10000)
        null
    """
    path = home / FOLDER / "FijiBridge_Predict_Folder....groovy"
    with pytest.raises(AssertionError, match="the JVM ended with 1"):
        jvm(run, path=str(path), given=f'input="{tmp_path}",model="/nowhere",output="{tmp_path}/out"')


@pytest.fixture
def spoken(environment, monkeypatch):
    """The verbs of the tests' package, in this process too."""
    monkeypatch.syspath_prepend(environment["PYTHONPATH"])
    before = {verb.name for verb in all_verbs()}
    importlib.import_module("spoken")
    yield
    for name in {verb.name for verb in all_verbs()} - before:
        unregister(name)
    del sys.modules["spoken"]


def test_unicode_and_blanks_everywhere_and_the_death_of_fiji(jars, environment, spoken, tmp_path):
    """In the path of Python, of the scripts, of models and folders; then Fiji is killed while its worker works."""
    place = tmp_path / "\u00fcn\u00ef c\u00f6d\u00e9 \u6771 [1]'"
    place.mkdir()
    python = place / "p\u00ffthon"
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    python.chmod(0o755)
    shutil.copy(BRIDGE, place)
    told = {"python": str(python), "bridge": str(place / BRIDGE.name)}
    model = fb.Model(fb.UNet(depth=1, width=2), ("other", "membrane")).save(place / "modell \u00e4.safetensors")
    write_image(np.eye(20, dtype=np.uint8), place / "rein \u00e4" / "bild \u00f6.tif")
    jvm = Jvm(jars, tmp_path, **environment | {"LC_ALL": "C.UTF-8"})
    try:
        values = {"input": str(place / "rein \u00e4"), "model": str(model), "output": str(place / "raus \u00df")}
        jvm("script(path, values)", path=written(place, "predict_folder", **told), values=values)
        assert [p.name for p in (place / "raus \u00df").iterdir()] == ["bild \u00f6_prob.tif"]
        jvm(BEGIN, path=written(place, "work", **told), place=str(place / "pid"))
        pid = appeared(place / "pid")
        assert alive(pid)
    finally:
        jvm.process.kill()
        jvm.process.wait()
    assert ended(pid)


def test_a_script_that_version_0_1_installed_works(jvm, run, tmp_path):
    """It loads the bridge from the place where that was, and calls what it returns."""
    text = Path(__file__).with_name("about_0_1.groovy").read_text(encoding="ascii")
    bridge = BRIDGE.parent.parent / "fiji" / "bridge.groovy"
    told = f"version = '{version('fijibridge')}', python = '{sys.executable}', bridge = new File('{bridge}')"
    old = "version = '', python = '', bridge = new File('')"
    assert old in text
    path = tmp_path / "FijiBridge_About.groovy"
    path.write_text(text.replace(old, told), encoding="ascii")
    jvm("printed(); null")
    jvm("script(path, [:])", path=str(path))
    assert "fijibridge" in jvm("printed()")
