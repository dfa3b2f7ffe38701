"""Cells to show, and the engines of the languages that ImageJ's scripts are written in."""

from __future__ import annotations

import jpype
import numpy as np
import pytest

from fijibridge.fiji.jars import jars_of

ENGINES = {
    "beanshell": "org.apache-extras.beanshell:bsh:2.0b6",
    "groovy": "org.codehaus.groovy:groovy:3.0.25",
    "javascript": "org.mozilla:rhino:1.7.15",
    "jython": "org.python:jython-standalone:2.7.4",
}


@pytest.fixture
def cells() -> np.ndarray:
    """Three cells, with gaps in their ids, the last of one pixel."""
    labels = np.zeros((40, 50), np.uint16)
    labels[2:10, 3:12], labels[20:30, 20:45], labels[35:36, 1:2] = 4, 9, 700
    return labels


@pytest.fixture(scope="session")
def engine_class():
    """Load a class of a language's engine, whose jar jgo gets from Maven Central once and keeps."""
    loaders = {}

    def load(language: str, name: str):
        if language not in loaders:
            urls = [jpype.JClass("java.io.File")(str(jar)).toURI().toURL() for jar in jars_of([ENGINES[language]])]
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
