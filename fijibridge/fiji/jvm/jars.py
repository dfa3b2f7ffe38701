"""The jars of Maven coordinates, put together once for all processes."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fijibridge.fiji.jvm import startup_cache
from fijibridge.files import atomic_folder

if TYPE_CHECKING:
    from filelock import BaseFileLock

log = logging.getLogger("fijibridge")

ANOTHER_WITHIN = 300.0
"""Seconds that another process has to get jars before this one goes on without it."""


def kept(endpoints: Sequence[str]) -> Path:
    """Return the folder in which the jars of coordinates are, once they have been put together."""
    group, artifact, *_ = endpoints[0].split(":")
    return startup_cache.cache() / f"{group}.{artifact}-{startup_cache.key_of(['+'.join(endpoints)])}"


def jars_of(endpoints: Sequence[str], repositories: Mapping[str, str] | None = None) -> list[Path]:
    """Return the jars of coordinates and of all that they need, from Maven Central the first time.

    Parameters
    ----------
    endpoints
        Maven coordinates.
    repositories
        Repositories besides Maven Central, by name.

    Notes
    -----
    jgo makes its own folder anew at each call: it takes the jars out and puts them in again. A process that runs on
    them meanwhile finds classes missing, so ours is made once and stays as it is.
    """
    folder = kept(endpoints)
    if not folder.is_dir():
        import jgo

        with in_turn():
            if not folder.is_dir():
                # as scyjava does it
                made = jgo.build(
                    endpoint="+".join(endpoints), cache_dir=startup_cache.cache().parent,
                    repositories=dict(repositories or {}), resolver=jgo.maven.PythonResolver(lenient=True),
                )  # fmt: skip
                with atomic_folder(folder) as whole:
                    for jar in (*made.jars_dir.glob("*.jar"), *made.modules_dir.glob("*.jar")):
                        _link(jar, whole / jar.name)
    return sorted(folder.glob("*.jar"))


def _link(jar: Path, place: Path) -> None:
    """Put a jar into another folder, without a second copy of it where the file system can."""
    try:
        os.link(jar, place)
    except OSError:
        shutil.copy2(jar, place)


@contextmanager
def in_turn() -> Iterator[None]:
    """Let one process at a time have jgo put jars together."""
    lock = _lock()
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _lock() -> BaseFileLock | None:
    from filelock import FileLock, Timeout

    cache = startup_cache.cache().parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache / "fijibridge.lock")
        lock.acquire(timeout=ANOTHER_WITHIN)
        return lock
    except Timeout:
        log.warning("another process has been getting jars for %g s; this one goes on without it", ANOTHER_WITHIN)
    except OSError as error:  # a cache that can only be read is changed by nobody
        log.debug("no lock in %s: %s", cache, error)
    return None
