"""Compile the Java sources of this package once for each version of Java and ImageJ, and cache the class files.

``python -m fijibridge.java.compiler foreign JAVA_HOME JAVA_VERSION IMAGEJ_VERSION JAR...`` prints a line of JSON:
``{"classes": folder, "temporary": flag}`` or ``{"error": message}``. A Fiji started without Python runs this command.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fijibridge.errors import StartError
from fijibridge.files.writer import atomic_folder
from fijibridge.java import jars
from fijibridge.java.cache import cache_folder, key_of

log = logging.getLogger("fijibridge")

Part = Literal["session", "foreign"]
"""Part of the sources: for Fiji in Python's process, or for a Fiji that was started without Python."""
_FOLDERS: dict[Part, tuple[str, ...]] = {
    "session": ("fijibridge", "fijibridge/verbs", "fijibridge/session", "ij/macro", "ij/plugin"),
    "foreign": ("fijibridge", "fijibridge/verbs", "fijibridge/foreign"),
}
_LEVEL = "1.8"
"""Version of the Java language and of the class files. It is Java 8, because old versions of Fiji run on Java 8."""
OLDEST_IMAGEJ = "1.53t"
"""Oldest version of ImageJ for which the sources compile in our tests."""
_TIMEOUT = 300
"""Time limit of one compilation, in seconds."""
_ADVICE = (
    "fijibridge needs it once to compile its Java classes: connect to the network, or copy ~/.jgo and ~/.m2 from a "
    "machine that has them"
)


@dataclass(frozen=True)
class Target:
    """The Java and ImageJ for which classes are compiled.

    Attributes
    ----------
    java
        Home folder of the Java installation, which also runs the compiler.
    java_version, imagej_version
        Versions as reported by Java and ImageJ.
    class_path
        Jars that the sources are compiled against, including ImageJ's.
    """

    java: Path
    java_version: str
    imagej_version: str
    class_path: tuple[Path, ...]

    def key(self, part: Part) -> str:
        """Return a key that changes with the sources, the compiler, Java, ImageJ and the jars."""
        texts = [source.read_text(encoding="utf-8") for source in sources(part)]
        path = [(jar.name, jar.stat().st_size) for jar in self.class_path]
        return key_of([jars.ECJ, _LEVEL, self.java_version, self.imagej_version, *path, *texts])


def sources(part: Part) -> list[Path]:
    """Return the source files of a part."""
    here = Path(__file__).parent
    return [file for folder in _FOLDERS[part] for file in sorted((here / folder).glob("*.java"))]


def compiled(part: Part, target: Target) -> tuple[Path, bool]:
    """Return the folder of the compiled classes, and True if it is a temporary folder that the caller must remove.

    Raises
    ------
    StartError
        If the compiler cannot be fetched, or fails.
    """
    folder = cache_folder() / f"classes-{target.key(part)}"
    if folder.is_dir():
        return folder, False
    compiler = fetch()
    try:
        with jars.in_turn():
            if not folder.is_dir():  # another process may have compiled them meanwhile
                with atomic_folder(folder) as whole:
                    _compile(part, target, compiler, whole)
        return folder, False
    except OSError as error:
        log.debug("the Java classes will be compiled again in each process: %s", error)
    temporary = Path(tempfile.mkdtemp(prefix="fijibridge-classes-"))
    _compile(part, target, compiler, temporary)
    return temporary, True


def drop(folder: Path) -> None:
    """Remove a folder of classes."""
    shutil.rmtree(folder, ignore_errors=True)


def fetch() -> Path:
    """Return the path of the compiler's jar, which is fetched from Maven Central the first time.

    Raises
    ------
    StartError
        If the jar is not on this machine and cannot be fetched.
    """
    jars.refuse_unreachable([jars.ECJ], {}, _ADVICE)
    try:
        (jar,) = jars.jars_of([jars.ECJ])
    except Exception as error:  # jgo's exceptions have no common base class
        raise StartError(
            f"the Java compiler {jars.ECJ} could not be fetched from Maven Central: {error}. {_ADVICE}"
        ) from error
    return jar


def _compile(part: Part, target: Target, compiler: Path, out: Path) -> None:
    """Run the compiler in a Java process.

    Raises
    ------
    StartError
        If the compilation fails; the message contains the compiler's output, or the version of ImageJ if it is too old.
    """
    program = target.java / "bin" / ("java.exe" if sys.platform == "win32" else "java")
    command: list[str | Path] = [
        program, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", compiler,
        "org.eclipse.jdt.internal.compiler.batch.Main", "-source", _LEVEL, "-target", _LEVEL, "-encoding", "UTF-8",
        "-proc:none", "-nowarn", "-d", out, "-cp", os.pathsep.join(map(str, target.class_path)), *sources(part),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"the Java classes of fijibridge could not be compiled with {program}: {error}") from error
    if done.returncode and target.imagej_version < OLDEST_IMAGEJ:
        raise StartError(
            f"fijibridge needs ImageJ {OLDEST_IMAGEJ} or newer, and this is {target.imagej_version}: update it with "
            "Help > Update ImageJ..., or Help > Update... in Fiji"
        )
    if done.returncode:
        raise StartError(
            f"the Java classes of fijibridge could not be compiled for Java {target.java_version} and ImageJ "
            f"{target.imagej_version}; please report this error: {(done.stderr or done.stdout).strip()[-2000:]}"
        )


def main(arguments: Sequence[str]) -> None:
    """Compile the classes of a part, and print their folder."""
    print(json.dumps(answer(arguments)))


def answer(arguments: Sequence[str]) -> dict[str, object]:
    """Return the folder with the compiled classes of a part, or the error message, as ``main`` prints them.

    Parameters
    ----------
    arguments
        Arguments of the command line: part, home folder and version of Java, version of ImageJ, jars.
    """
    part, java, java_version, imagej_version, *path = arguments
    target = Target(Path(java), java_version, imagej_version, tuple(map(Path, path)))
    try:
        folder, temporary = compiled("foreign" if part == "foreign" else "session", target)
        return {"classes": str(folder), "temporary": temporary}
    except StartError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    main(sys.argv[1:])
