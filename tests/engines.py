"""Scripts in the JVM of this process, in each language of ImageJ's, by its own engine, and what Python itself calls."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import jpype

from fijibridge.fiji.jvm.lifetime import state
from fijibridge.java.jars import jars_of
from tests import languages

JARS = {
    "beanshell": "org.apache-extras.beanshell:bsh:2.0b6",
    "groovy": "org.codehaus.groovy:groovy:3.0.25",
    "javascript": "org.mozilla:rhino:1.7.15",
    "jython": "org.python:jython-standalone:2.7.4",
}
"""The languages' engines. jgo gets them from Maven Central once, and keeps them."""
SCIJAVA = {
    "macro": "ImageJ Macro", "groovy": "Groovy", "beanshell": "BeanShell", "jython": "Python (Jython)",
    "javascript": "JavaScript", "python": "Python",
}  # fmt: skip
"""What SciJava calls the languages of a Fiji."""


def ways() -> list[str]:
    """Return all ways to call from a script in the Fiji of the tests: a real one runs them by its ScriptService too."""
    real = "FIJIBRIDGE_TEST_FIJI" in os.environ
    return [*languages.LANGUAGES, *languages.PYTHON, *(f"SciJava {name}" for name in SCIJAVA if real)]


class Engines:
    """The engines, in a class loader of their own.

    Attributes
    ----------
    java
        The object of engines.groovy.
    """

    def __init__(self) -> None:
        urls = [jpype.JClass("java.io.File")(str(jar)).toURI().toURL() for jar in jars_of(list(JARS.values()))]
        parent = jpype.JClass("ij.IJ").class_.getClassLoader()
        self._loader = jpype.JClass("java.net.URLClassLoader")(jpype.JArray(jpype.JClass("java.net.URL"))(urls), parent)
        self.java = self._shell().evaluate(jpype.JClass("java.io.File")(str(Path(__file__).with_suffix(".groovy"))))

    def _shell(self, **values: Any) -> Any:
        binding = self._loaded("groovy.lang.Binding")()
        for name, value in values.items():
            binding.setVariable(name, value)
        return self._loaded("groovy.lang.GroovyShell")(self._loader, binding)

    def _loaded(self, name: str) -> Any:
        return jpype.JClass(self._loader.loadClass(name))

    def evaluate(self, language: str) -> Callable[[str], Any]:
        """Return what runs code of a language in this thread."""
        return getattr(self.java, language)  # type: ignore[no-any-return]

    def groovy(self, code: str, **values: Any) -> Any:
        """Run Groovy with some variables, as the driver of the foreign Fiji does, and return its value as Python's."""
        kept = jpype.JClass("java.util.HashMap")(state.tables)
        imports = "import ij.*\nimport ij.gui.*\nimport ij.measure.*\nimport ij.process.*\n"
        given = "def kept = { tables[it] }, printed = { engines.printed() }\n"
        shell = self._shell(engines=self.java, tables=kept, **values)
        return _plain(shell.evaluate(imports + given + textwrap.dedent(code)))

    def speak(self, language: str, code: str) -> Any:
        """Run code of a language as a script runs: in a thread of Java's, but Python, and return what it returns."""
        if language in languages.PYTHON:
            names: dict[str, Any] = {}
            exec(code, names)
            return names["result"]
        if not language.startswith("SciJava "):
            return _plain(self.java.speak(language, code))
        from fijibridge import current

        gateway, name = current().ij, language.split()[-1]
        # where the value of a script is not that of its last line, it is an output
        script = jpype.JClass("java.io.StringReader")(f"#@output String result\n{code}" if "result" in code else code)
        info = jpype.JClass("org.scijava.script.ScriptInfo")(gateway.context(), "a script", script)
        info.setLanguage(gateway.script().getLanguageByName(SCIJAVA[name]))
        return _plain(gateway.script().run(info, True).get().getOutput("result"))

    def told(self, language: str, code: str) -> tuple[Any, dict[str, str]]:
        """Run code of a language, and return what it returned, or raised, and what dialogs said that opened."""
        watcher = self.java.watch()
        try:
            returned = self.speak(language, code)
        except Exception as error:
            returned = error
        finally:
            dialogs = _plain(watcher.stop())
        return returned, dialogs

    @contextmanager
    def _working_in(self, folder: Path) -> Iterator[None]:
        """Let relative paths count from a folder, and keep what Java prints."""
        self.java.capture()
        try:
            with chdir(folder), redirect_stderr(StringIO()) as self._complaints:
                yield
        finally:
            self.java.release()

    def done(self, folder: Path, language: str, command: str) -> dict[str, Any]:
        """Run a line of docs/verbs.md in a language, and return what came out."""
        state.tables.clear()
        with self._working_in(folder):
            return languages.done(self.groovy, self.told, folder, language, command)

    def all_done(self, folder: Path, language: str) -> dict[str, Any]:
        """Run all lines that work in a language, check them, and return what came out and must be equal everywhere."""
        return languages.all_done(lambda command: self.done(folder, language, command))

    def failed(self, folder: Path, language: str, command: str, options: str) -> dict[str, Any]:
        """Run a call that fails in a language, and return what is told, and what Java finds open afterwards."""
        with self._working_in(folder):
            self.groovy(languages.BEGIN, folder=str(folder))
            returned, dialogs = self.told(language, languages.code(language, command, options))
            found = self.groovy(
                """
                [left: [IJ.macroRunning(), Macro.getOptions(), WindowManager.getImageTitles() as List],
                    complaints: engines.complaints()]
                """
            )
        found["complaints"] += self._complaints.getvalue()  # of the Python that SciJava calls
        raised = type(returned).__name__ if isinstance(returned, Exception) else None
        return {"returned": str(returned), "raised": raised, "dialogs": dialogs, **found}


def check_failed(language: str, command: str, why: str, windows: bool, found: dict[str, Any]) -> None:
    """Look whether a call that failed ended what called, and told why."""
    told = f"{command}: {why}"
    assert found["left"] == [False, None, ["evl_01_cells.tif", "evl_01.tif"]]
    if language.endswith("macro") and language != "run_macro":
        assert found["returned"] != "went on"
        assert list(found["dialogs"]) == ["Macro Error"] * windows
        message = found["dialogs"]["Macro Error"] if windows else found["complaints"].partition("Macro Error: ")[2]
        assert message.startswith(f"{told} in line ")
        return
    assert found["dialogs"] == {}
    if language.startswith("SciJava "):  # which writes what a script raises into its log, and returns nothing
        assert found["returned"] == "None"
        assert told in found["complaints"]
        return
    assert found["raised"] is not None
    assert told in found["returned"]
    if language == "run_macro":
        assert found["raised"] == "MacroError"
        assert found["returned"].startswith(f"{told} in line 1 of the macro: run")


def _plain(value: Any) -> Any:
    """Return maps, lists, numbers and texts of Java's as Python's."""
    if isinstance(value, jpype.JClass("java.util.Map")):
        return {str(entry.getKey()): _plain(entry.getValue()) for entry in value.entrySet()}
    if isinstance(value, jpype.JClass("java.util.List")):
        return [_plain(one) for one in value]
    if isinstance(value, jpype.JClass("java.lang.CharSequence")):
        return str(value)
    if isinstance(value, jpype.JClass("java.lang.Boolean")):
        return bool(value)
    if isinstance(value, jpype.JClass("java.lang.Number")):
        return float(value) if float(value) % 1 else int(value)
    return value
