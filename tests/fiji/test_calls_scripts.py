"""Verbs called by scripts, in the languages of ImageJ's recorder and of Fiji's script editor, by the real engines."""

from __future__ import annotations

import logging

import jpype
import numpy as np
import pytest

import fijibridge as fb

ENGINES = {
    "beanshell": "org.apache-extras.beanshell:bsh:2.0b6",
    "groovy": "org.codehaus.groovy:groovy:3.0.25",
    "javascript": "org.mozilla:rhino:1.7.15",
    "jython": "org.python:jython-standalone:2.7.4",
}
MEASURE = '"FijiBridge Measure Cells...", "cells=cells image=raw measurements=[area mean]"'
WRONG = '"FijiBridge Predict...", "image=raw model=/nowhere"'

TOLD = "FijiBridge Predict...: model is '/nowhere': there is no such file"

# what a person writes in each language: measure, and return how many rows there are
GOOD = {
    "beanshell": f"""
        import ij.IJ; import ij.measure.ResultsTable;
        IJ.run({MEASURE});
        ResultsTable.getResultsTable().size()
    """,
    "groovy": f"""
        import ij.IJ; import ij.measure.ResultsTable
        IJ.run({MEASURE})
        ResultsTable.resultsTable.size()
    """,
    "javascript": f"""
        importPackage(Packages.ij);
        IJ.run({MEASURE});
        Packages.ij.measure.ResultsTable.getResultsTable().size()
    """,
    "jython": f"""
from ij import IJ
from ij.measure import ResultsTable
IJ.run({MEASURE})
result = ResultsTable.getResultsTable().size()
    """,
}
# what fails, and is caught
CAUGHT = {
    "beanshell": f"""
        import ij.IJ;
        told = "";
        try {{ IJ.run({WRONG}); told = "went on"; }} catch (Exception e) {{ told = e.getMessage(); }}
        told
    """,
    "groovy": f"""
        import ij.IJ
        try {{ IJ.run({WRONG}); "went on" }} catch (RuntimeException e) {{ e.message }}
    """,
    "javascript": f"""
        importPackage(Packages.ij);
        try {{ IJ.run({WRONG}); "went on" }} catch (e) {{ "" + e.javaException.getMessage() }}
    """,
    "jython": f"""
from ij import IJ
from java.lang import RuntimeException
try:
    IJ.run({WRONG})
    result = "went on"
except RuntimeException as e:
    result = e.getMessage()
    """,
}
# what fails, and is not caught
UNCAUGHT = {
    "beanshell": f"import ij.IJ; IJ.run({WRONG});",
    "groovy": f"import ij.IJ; IJ.run({WRONG})",
    "javascript": f"importPackage(Packages.ij); IJ.run({WRONG});",
    "jython": f"from ij import IJ\nIJ.run({WRONG})\n",
}


@pytest.fixture(scope="session")
def engine_class():
    """Load a class of a language's engine, whose jar jgo gets from Maven Central once and keeps."""
    loaders = {}

    def load(language: str, name: str):
        if language not in loaders:
            import jgo

            logging.getLogger("jgo").setLevel(logging.ERROR)
            jars = jgo.build(ENGINES[language]).all_jars
            urls = [jpype.JClass("java.io.File")(str(jar)).toURI().toURL() for jar in jars]
            parent = jpype.JClass("ij.IJ").class_.getClassLoader()
            loaders[language] = jpype.JClass("java.net.URLClassLoader")(
                jpype.JArray(jpype.JClass("java.net.URL"))(urls), parent
            )
        return jpype.JClass(loaders[language].loadClass(name)), loaders[language]

    return load


@pytest.fixture
def evaluate(engine_class):
    """Run a script in its language, and return what it says."""

    def beanshell(code: str):
        made, loader = engine_class("beanshell", "bsh.Interpreter")
        interpreter = made()
        interpreter.setClassLoader(loader)
        return interpreter.eval(code)

    def groovy(code: str):
        made, loader = engine_class("groovy", "groovy.lang.GroovyShell")
        return made(loader).evaluate(code)

    def javascript(code: str):
        made, loader = engine_class("javascript", "org.mozilla.javascript.Context")
        importer, _ = engine_class("javascript", "org.mozilla.javascript.ImporterTopLevel")
        context = made.enter()
        try:
            context.setApplicationClassLoader(loader)
            result = context.evaluateString(importer(context), code, "script", 1, None)
            return made.jsToJava(result, jpype.JClass("java.lang.Object").class_)
        finally:
            made.exit()

    def jython(code: str):
        made, loader = engine_class("jython", "org.python.util.PythonInterpreter")
        properties = jpype.JClass("java.util.Properties")()
        properties.setProperty("python.import.site", "false")
        properties.setProperty("python.cachedir.skip", "true")
        made.initialize(jpype.JClass("java.lang.System").getProperties(), properties, [])
        interpreter = made()
        interpreter.getSystemState().setClassLoader(loader)
        interpreter.exec_(code)
        return interpreter.get("result", jpype.JClass("java.lang.Object").class_)

    return {"beanshell": beanshell, "groovy": groovy, "javascript": javascript, "jython": jython}


@pytest.fixture
def session(clean):
    cells = np.zeros((20, 30), np.uint8)
    prob = np.zeros((20, 30), np.float32)
    prob[:, 14:16] = 1
    clean.show(prob, name="prob")
    cells[2:8, 3:9], cells[10:15, 12:20] = 3, 7
    clean.show(cells * 2, name="raw")
    clean.show(cells, name="cells")
    return clean


@pytest.mark.parametrize("language", ENGINES)
def test_a_script_calls_a_verb_and_finds_its_table(session, evaluate, language):
    assert float(evaluate[language](GOOD[language])) == 2
    table = session.table()
    assert table["label"].tolist() == [3, 7]
    assert table["Area"].tolist() == [36, 40]
    assert table["Mean"].tolist() == [6, 14]


@pytest.mark.parametrize("language", ENGINES)
def test_an_error_is_an_exception_of_the_script_that_says_what_is_wrong(session, evaluate, language):
    assert str(evaluate[language](CAUGHT[language])) == TOLD
    with pytest.raises(jpype.JException) as caught:
        evaluate[language](UNCAUGHT[language])
    assert TOLD in str(caught.value)
    assert not jpype.JClass("ij.IJ").macroRunning()
    assert float(evaluate[language](GOOD[language])) == 2, "and the next script works"


def test_a_script_on_a_thread_of_javas_calls_while_python_waits(session, evaluate):
    code = f"""
        import ij.IJ; import ij.measure.ResultsTable
        def error = null
        def other = Thread.start {{
            try {{ IJ.run({MEASURE}) }} catch (Throwable e) {{ error = e }}
        }}
        other.join()
        error == null ? ResultsTable.resultsTable.size() : -1
    """
    assert int(evaluate["groovy"](code)) == 2
    failing = f"""
        import ij.IJ
        def error = null
        Thread.start {{ try {{ IJ.run({WRONG}) }} catch (Throwable e) {{ error = e }} }}.join()
        error.message
    """
    assert str(evaluate["groovy"](failing)) == TOLD
    assert session.titles() == ["prob", "raw", "cells"]


def test_two_scripts_at_once_each_have_their_own_options_and_errors(session, evaluate):
    code = f"""
        import ij.IJ
        def caught = Collections.synchronizedList([])
        def threads = (0..<8).collect {{ i -> Thread.start {{
            try {{
                if (i % 2) IJ.run({WRONG}) else IJ.run("FijiBridge Label Cells...", "image=prob method=threshold")
            }} catch (Throwable e) {{ caught << i }}
        }} }}
        threads*.join()
        caught.sort()
    """
    failed = [int(i) for i in evaluate["groovy"](code)]
    assert failed == [1, 3, 5, 7]
    assert fb.Fiji.start("embedded", mode="headless").titles() == ["prob", "raw", "cells", "prob_cells"]
