"""Fiji's Python mode: the scripts of the menu call the Python that started Fiji, by scyjava's runner of scripts."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.jvm

CODE = """
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scyjava
from scyjava._script import enable_python_scripting

import fijibridge as fb
from fijibridge.imagej.installations import find_java
from fijibridge.worker.scripts import BRIDGE, file_name, script
from fijibridge.verbs import Cells, Image, verb, verb_named
from tests.worker.conftest import DRIVER, find_jars

# as Fiji's launcher does it, through pyimagej: with nothing of ours
os.environ["JAVA_HOME"] = str(find_java().home)
scyjava.config.set_java_constraints(fetch="never")
scyjava.config.add_classpath(*map(str, find_jars()))
scyjava.start_jvm(["-Djava.awt.headless=true", "--add-opens=java.base/java.lang=ALL-UNNAMED"])
import jpype
jpype.JClass("net.imagej.patcher.LegacyInjector").preinit()

@verb("Double It...")
def double_it(image: Image, times: int = 2) -> Image:
    "Multiply an image."
    if times < 0:
        raise fb.errors.ImageError("no image is so dark")
    return (image * times).rename(f"x{times}")

folder = Path(os.environ["FOLDER"]) / "scripts" / "Plugins" / "FijiBridge"
folder.mkdir(parents=True)
made = verb_named("double_it")
# a Python that is none: nothing but this process can do the work
(folder / file_name(made)).write_text(script(made, "/gone/python", str(BRIDGE), version("fijibridge")))

shell = jpype.JClass("groovy.lang.GroovyShell")(jpype.JClass("ij.IJ").class_.getClassLoader())
scripts = shell.evaluate(jpype.JClass("java.io.File")(str(DRIVER.with_name("fiji.groovy"))))
fiji = fb.current()
scripts.menu(str(folder.parents[1]))
enable_python_scripting(scripts.getContext())
fiji.show(np.full((5, 6), 7, np.uint8), name="seven")
"""


CALLS = """
call = "run('FijiBridge Double It...', 'image=seven times={}')"
print(scripts.speak("macro", call.format(3) + "; return getTitle() + ' ' + getValue('Max');"))
print(scripts.speak("groovy", "ij.IJ." + call.format(4) + "; ij.IJ.getImage().getTitle()"))
scripts.script(str(folder / file_name(made)), {"image": "seven", "times": 5})
print(sorted(fiji.titles()), fiji.array("x5").max())
"""
ERRORS = """
print("---")
before = fiji.titles()
print(scripts.speak("macro", "run('FijiBridge Double It...', 'times=many'); return 'went on';"))
for options in ("times=many", "times=-1", "image=gone"):
    try:
        scripts.speak("groovy", f"ij.IJ.run('FijiBridge Double It...', '{options}')")
        print("went on")
    except jpype.JException as error:
        print(error.getMessage())
print(fiji.titles() == before)
"""
JOINED = """
print("---")
fiji._calls.enter()
assert str(jpype.JClass("ij.Menus").getCommands().get(made.command)).startswith("ij.plugin.FijiBridge")
print(scripts.speak("macro", "run('FijiBridge Double It...', 'times=many'); return 'went on';"))
print([str(title) for title in jpype.JClass("ij.WindowManager").getImageTitles()] == before)
"""


@pytest.fixture(scope="module")
def said(python, tmp_path_factory) -> list[list[str]]:
    """Run the three parts in one session, and return the lines that each prints."""
    folder = str(tmp_path_factory.mktemp("python_mode"))
    lines = python(CODE + CALLS + ERRORS + JOINED, FOLDER=folder, timeout=300).stdout
    return [part.splitlines() for part in lines.split("---\n")]


def test_macros_and_scripts_call_the_process_that_started_fiji(said):
    assert said[0] == ["x3 21", "x4", "['seven', 'x3', 'x4', 'x5'] 35"]


def test_errors_end_who_called(said):
    assert said[1] == [
        "None",
        "FijiBridge Double It...: times is 'many'; expected a whole number",
        "FijiBridge Double It...: no image is so dark",
        "FijiBridge Double It...: image: no open image 'gone'; open images: ['seven', 'x3', 'x4', 'x5']",
        "True",
    ]


def test_an_error_of_a_macro_that_somebody_runs_keeps_the_images_from_the_second_call_on(said):
    """Then the session has joined, and its own commands are called instead of the scripts."""
    assert said[2][0] != "went on"
    assert said[2][1] == "True"
