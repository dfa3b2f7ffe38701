"""Install, check and remove the scripts in a Fiji folder that form its menu FijiBridge."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fijibridge.errors import StartError
from fijibridge.files.writer import atomic, write_json
from fijibridge.imagej.installations import is_fiji
from fijibridge.java import compiler
from fijibridge.worker.scripts import BRIDGE, scripts

FOLDER = Path("scripts", "Plugins", "FijiBridge")
"""Folder in Fiji whose scripts form the menu Plugins > FijiBridge."""
MANIFEST = ".fijibridge.json"
"""Name of the file that lists the installed scripts; it is in the same folder."""
APPOSE = "use Help > Update... in a Fiji of 2025 or later, or put org.apposed:appose from Maven Central into 'jars'"


@dataclass
class Installed:
    """Outcome of an installation or removal.

    Attributes
    ----------
    folder
        Folder of the scripts.
    written, removed
        Names of written and removed files.
    kept
        Names of files that were left unchanged because the user changed them, or because fijibridge did not create
        them.
    appose
        True if this Fiji has Appose, which the scripts need to communicate with Python.
    compiler
        Error message if the Java compiler could not be fetched, else ``""``. The scripts need the compiler at their
        first call.
    """

    folder: Path
    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    appose: bool = True
    compiler: str = ""


def install(where: str | os.PathLike[str]) -> Installed:
    """Install one script per verb in a Fiji folder, and replace scripts installed earlier.

    The scripts call this Python. The Java compiler is fetched, too, so that the scripts work without a network.

    Parameters
    ----------
    where
        Fiji folder or application bundle, or a file or folder inside it.

    Raises
    ------
    StartError
        If the folder does not contain Fiji, or is not writable.
    """
    home = fiji_home(where)
    made = scripts(sys.executable, str(BRIDGE), version("fijibridge"))
    done = Installed(home / FOLDER, appose=has_appose(home))
    try:
        known = _known(done.folder)
        hashes = {name: _hash(text.encode()) for name, text in made.items()}
        done.kept = [name for name in made if _foreign(done.folder / name, [*known.get(name, []), hashes[name]])]
        ours = {name: digest for name, digest in hashes.items() if name not in done.kept}
        # the manifest lists old and new hashes first, so that after an interruption every file is still known as ours
        _remember(done.folder, {name: [*known.get(name, []), *([ours[name]] if name in ours else [])]
                                for name in {**known, **ours}})  # fmt: skip
        for name in ours:
            with atomic(done.folder / name) as path:
                path.write_bytes(made[name].encode())
            done.written.append(name)
        for name in set(known) - set(made):
            _remove(done, name, known[name])
        _remember(done.folder, {name: [digest] for name, digest in ours.items()})
    except OSError as error:
        raise StartError(f"the scripts cannot be written to {done.folder}: {error.strerror or error}") from error
    try:
        compiler.fetch()
    except StartError as error:
        done.compiler = str(error)
    return done


def uninstall(where: str | os.PathLike[str]) -> Installed:
    """Remove the installed scripts from a Fiji folder, and nothing else.

    Raises
    ------
    StartError
        If the folder does not contain Fiji, has no scripts installed by fijibridge, or is not writable.
    """
    home = fiji_home(where)
    done = Installed(home / FOLDER, appose=has_appose(home))
    if not (done.folder / MANIFEST).is_file():
        raise StartError(f"fijibridge's scripts are not installed in {home}: {FOLDER / MANIFEST} does not exist there")
    try:
        for name, hashes in _known(done.folder).items():
            _remove(done, name, hashes)
        (done.folder / MANIFEST).unlink()
        if not any(done.folder.iterdir()):
            done.folder.rmdir()
    except OSError as error:
        raise StartError(f"the scripts cannot be removed from {done.folder}: {error.strerror or error}") from error
    return done


def fiji_home(where: str | os.PathLike[str]) -> Path:
    """Return the folder that contains Fiji's ``jars``: `where`, its subfolder Fiji.app or Fiji, or a folder above it.

    Raises
    ------
    StartError
        If none of these folders contains Fiji.
    """
    path = Path(where).expanduser().absolute()
    candidates = [path, path / "Fiji.app", path / "Fiji", *path.parents[:4]]
    found = next((candidate for candidate in candidates if is_fiji(candidate)), None)
    if found is None:
        raise StartError(
            f"there is no Fiji in {path}: no jars/ij-1*.jar was found in this folder, its subfolders Fiji.app and "
            "Fiji, or the folders above it. Pass the folder that contains 'jars' and 'plugins'"
        )
    return found


def has_appose(home: Path) -> bool:
    """Tell whether a Fiji has Appose, which its scripts need to communicate with Python."""
    return any((home / "jars").glob("**/appose-*.jar"))


def pair(home: Path) -> tuple[str, str, bool]:
    """Return the state of fijibridge's scripts in a Fiji, advice, and True if the scripts work with this Python.

    Raises
    ------
    StartError
        If the list of the installed scripts cannot be read.
    """
    folder = home / FOLDER
    if not (folder / MANIFEST).is_file():
        return f"none in {home}", f"fijibridge install-scripts '{home}' adds FijiBridge to its menu", True
    manifest = _manifest(folder)
    again = f"fijibridge install-scripts '{home}'"
    if manifest["version"] != version("fijibridge"):
        return f"from fijibridge {manifest['version']}, but this is {version('fijibridge')}", again, False
    if manifest["python"] != sys.executable:
        return (
            f"those in {home} call {manifest['python']}, not {sys.executable}",
            f"{again}, if they should call this Python",
            True,
        )
    if not has_appose(home):
        return f"{home} lacks Appose, which the scripts need", APPOSE, False
    changed = [name for name, hashes in manifest["files"].items() if not (folder / name).is_file()]
    if changed:
        return f"{len(changed)} of {len(manifest['files'])} are missing in {folder}", again, False
    return f"{len(manifest['files'])} in {folder}", "", True


def hello(python: str = sys.executable, timeout: float = 120) -> dict[str, Any]:
    """Start a worker as Fiji's scripts do, and return its version, Python, device and process id.

    Raises
    ------
    StartError
        If the worker does not answer, or its answer is invalid.
    """
    request = json.dumps({"task": "1", "requestType": "EXECUTE", "script": ":hello"}) + "\n"
    command = [python, "-P", "-m", "fijibridge.worker.process"]
    try:
        done = subprocess.run(command, input=request, capture_output=True, text=True, timeout=timeout, cwd=Path.home())
        answer = json.loads(done.stdout.splitlines()[-1])
        return dict(answer["outputs"])
    except subprocess.TimeoutExpired as error:
        raise StartError(f"the worker did not answer within {timeout:g} s") from error
    except (OSError, ValueError, LookupError) as error:
        last = (
            (done.stderr.strip() or "it printed nothing").splitlines()[-1] if not isinstance(error, OSError) else error
        )
        raise StartError(f"the worker cannot be started: {last}") from error


# --- the manifest -----------------------------------------------------------------------------------


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        files = {str(name): [str(digest) for digest in hashes] for name, hashes in manifest["files"].items()}
        if any(Path(name).name != name for name in files):
            raise ValueError("it names files in other folders")
        return {"version": str(manifest["version"]), "python": str(manifest["python"]), "files": files}
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise StartError(
            f"{path} cannot be read ({error}): remove its folder by hand, and install the scripts again"
        ) from error


def _known(folder: Path) -> dict[str, list[str]]:
    """Return, for the name of each installed file, the hashes of all versions of the file that may exist."""
    return dict(_manifest(folder)["files"]) if (folder / MANIFEST).is_file() else {}


def _remember(folder: Path, files: Mapping[str, list[str]]) -> None:
    manifest = {"version": version("fijibridge"), "python": sys.executable, "files": dict(sorted(files.items()))}
    write_json(folder / MANIFEST, manifest)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _foreign(path: Path, hashes: list[str]) -> bool:
    """Tell whether a file exists that fijibridge did not write, or that was changed after fijibridge wrote it."""
    return path.exists() and (not path.is_file() or _hash(path.read_bytes()) not in hashes)


def _remove(done: Installed, name: str, hashes: list[str]) -> None:
    path = done.folder / name
    if _foreign(path, hashes):
        done.kept.append(name)
    elif path.exists():
        path.unlink()
        done.removed.append(name)
