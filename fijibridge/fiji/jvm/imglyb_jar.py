"""The Java half of imglyb, with which pyimagej shares numpy arrays with ImageJ2.

Neither Fiji nor Maven Central has this jar, but imglyb's start-up callbacks in scyjava need it. We therefore let these
callbacks run only if the jar was found. fijibridge itself copies pixels, and does not use the jar.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fijibridge.fiji.jvm.reflection import has_class
from fijibridge.java import jars
from fijibridge.java.cache import cache_folder, key_of

log = logging.getLogger("fijibridge")

_GROUP, _NAME = "net.imglib2", "imglib2-imglyb"
_CLASS = "net.imglib2.python.Helpers"
_ANSWER_WITHIN = 3.0
"""Seconds to wait for a repository's answer; the limit is short because waiting delays the start of the JVM."""

LACKING = (
    "imglib2-imglyb is not on the class path, so these calls of pyimagej fail: ij.py.from_java of an image, and "
    "ij.py.to_dataset, ij.py.to_img, ij.py.to_java and ij.op() of arrays. To use these calls, put "
    "imglib2-imglyb-*.jar (from SciJava's repository) into Fiji's folder 'jars'. fijibridge's own calls do not need it"
)
"""Message that names the calls that fail without the jar, and how to get it."""

missing = False
"""True if the JVM was started without the jar."""


def prepare(folder: Path | None, repositories: dict[str, str]) -> None:
    """Add the jar to the class path if it can be fetched, and guard imglyb's callbacks; call before the JVM starts.

    Parameters
    ----------
    folder
        The Fiji folder; None if Fiji comes from Maven.
    repositories
        Maven repositories besides Maven Central, by name.
    """
    import imglyb.config
    import scyjava.config

    coordinate = f"{_GROUP}:{_NAME}:{imglyb.config.get_imglib2_imglyb_version()}"
    scyjava.config.endpoints.clear()  # imglyb registered an endpoint: even a local Fiji would need the network
    if folder is None:
        if _is_served(coordinate, repositories):
            scyjava.config.endpoints.append(coordinate)
    elif not any((folder / "jars").glob(f"**/{_NAME}-*.jar")):
        jar = _found(coordinate, repositories)
        if jar is not None:
            scyjava.config.add_classpath(str(jar))
    guard_callbacks()


def _found(coordinate: str, repositories: dict[str, str]) -> Path | None:
    """Return the jar from a local cache, else from a repository; None if neither has it.

    The jar's dependencies are not returned, because Fiji contains them.
    """
    if not (jars.kept([coordinate]).is_dir() or _is_served(coordinate, repositories)):
        return None
    try:
        every = jars.jars_of([coordinate], repositories)
    except Exception as error:  # jgo's exceptions have no common base class
        log.info("%s could not be fetched: %s", coordinate, error)
        return None
    return next((jar for jar in every if jar.name.startswith(_NAME)), None)


def _is_served(coordinate: str, repositories: dict[str, str]) -> bool:
    """Tell whether a repository has the jar. A negative answer is kept for a day, because asking delays the start."""
    import requests

    group, name, version = coordinate.split(":")
    note = cache_folder() / f"{name}-{version}-{key_of(repositories.values())}.missing"
    if note.is_file() and time.time() - note.stat().st_mtime < 24 * 3600:
        return False

    def status(url: str) -> int:
        place = f"{url.rstrip('/')}/{group.replace('.', '/')}/{name}/{version}/{name}-{version}.jar"
        try:
            return int(requests.head(place, timeout=_ANSWER_WITHIN, allow_redirects=True).status_code)
        except requests.RequestException:
            return 0

    with ThreadPoolExecutor(max(1, len(repositories))) as pool:
        answers = list(pool.map(status, repositories.values()))
    if 200 in answers:
        return True
    if 0 in answers:  # a silent repository may answer at the next start
        return False
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    except OSError as error:
        log.debug("the repositories will be asked again at the next start: %s", error)
    return False


def guard_callbacks() -> None:
    """Run imglyb's start-up callbacks only if the jar was found, because a callback that raises breaks the JVM."""
    import scyjava._jvm

    callbacks: list[Callable[[], Any]] = scyjava._jvm._startup_callbacks
    theirs = [c for c in callbacks if str(getattr(c, "__module__", "")).split(".")[0] == "imglyb"]
    if not theirs:
        return

    def guarded() -> None:
        global missing
        missing = not has_class(_CLASS)
        if missing:
            log.info("%s", LACKING)
            return
        for callback in theirs:
            callback()

    callbacks[:] = [c for c in callbacks if c not in theirs] + [guarded]


def say_what_is_lacking() -> None:
    """Warn about the calls that fail without the jar, once per process."""
    global _said
    if not _said and not has_class(_CLASS):
        _said = True
        log.warning("%s", LACKING)


_said = False
