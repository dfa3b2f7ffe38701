"""A Fiji that Python did not start: a JVM of its own, with the scripts installed."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

JARS = (
    "net.imagej:ij:1.54p",
    "net.imagej:ij1-patcher:2.0.0",
    "org.scijava:scijava-common:2.100.1",
    "org.apposed:appose:0.9.0",  # brings Groovy
    "org.scijava:parsington:3.1.0",
    "net.java.dev.jna:jna:5.14.0",  # as new as jna-platform
)
DRIVER = Path(__file__).with_name("driver.groovy")


class ScriptFailed(Exception):
    """What a script, or other code in the JVM, raised; ``trace`` is Java's."""

    def __init__(self, message: str, trace: str):
        super().__init__(message)
        self.trace = trace


class Jvm:
    """A JVM that runs Groovy."""

    def __init__(self, jars: list[Path], **environment: str):
        from fijibridge.fiji.installations import find_java

        java = find_java().home / "bin" / "java"
        options = [
            "-Djava.awt.headless=true",
            "-Xmx3g",
            "-XX:TieredStopAtLevel=1",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
        ]
        path = os.pathsep.join(map(str, jars))
        self.process = subprocess.Popen(
            [java, *options, "-cp", path, "groovy.ui.GroovyMain", DRIVER], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, **environment}, text=True, encoding="ascii",
        )  # fmt: skip

    def __call__(self, code: str, **values: Any) -> Any:
        """Run Groovy code with some variables, and return its value."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"code": textwrap.dedent(code), "values": values}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, f"the JVM ended with {self.process.wait()}"
        answer = json.loads(line)
        if "error" in answer:
            raise ScriptFailed(answer["error"], answer["trace"])
        return answer["value"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0


@pytest.fixture(scope="session")
def jars() -> list[Path]:
    """ImageJ, SciJava, Groovy and Appose, from Maven Central or the user's cache."""
    import jgo

    logging.getLogger("jgo").setLevel(logging.ERROR)
    found = jgo.build("+".join(JARS), resolver=jgo.maven.PythonResolver(lenient=True))
    return sorted(Path(found.path).glob("*/*.jar"))
