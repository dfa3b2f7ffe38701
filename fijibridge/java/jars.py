"""The jars of Maven coordinates, which are fetched once for all processes."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fijibridge.errors import StartError
from fijibridge.files.writer import atomic_folder
from fijibridge.java.cache import cache_folder, key_of

if TYPE_CHECKING:
    from filelock import BaseFileLock

log = logging.getLogger("fijibridge")

EMBEDDED = ("net.imagej:ij:1.54p", "net.imagej:ij1-patcher:2.0.0")
"""Maven coordinates of the embedded ImageJ."""

FIJI = "sc.fiji:fiji"
"""Maven coordinates of the newest version of Fiji."""

ECJ = "org.eclipse.jdt:ecj:3.26.0"
"""Eclipse's Java compiler, in the last version that runs on Java 8. It can read the class libraries of Java 8 to 25."""

LOCK_TIMEOUT = 300.0
"""Seconds to wait while another process fetches jars, before continuing without the lock."""

ANSWER_TIMEOUT = 10.0
"""Seconds after which a Maven repository counts as unreachable."""


def kept(endpoints: Sequence[str]) -> Path:
    """Return the folder for the jars of coordinates. It exists once the jars have been fetched."""
    group, artifact, *_ = endpoints[0].split(":")
    return cache_folder() / f"{group}.{artifact}-{key_of(['+'.join(endpoints)])}"


def jars_of(endpoints: Sequence[str], repositories: Mapping[str, str] | None = None) -> list[Path]:
    """Return the jars of coordinates and of their dependencies; fetch them from Maven repositories the first time.

    Parameters
    ----------
    endpoints
        Maven coordinates.
    repositories
        Repositories besides Maven Central, by name.

    Notes
    -----
    jgo empties and refills its own folder at each call. Meanwhile, processes that use the jars in that folder lack
    classes. Our folder is therefore written once, and never changed.
    """
    folder = kept(endpoints)
    if not folder.is_dir():
        import jgo

        with in_turn():
            if not folder.is_dir():
                # as scyjava does
                made = jgo.build(
                    endpoint="+".join(endpoints), cache_dir=cache_folder().parent,
                    repositories=dict(repositories or {}), resolver=jgo.maven.PythonResolver(lenient=True),
                )  # fmt: skip
                with atomic_folder(folder) as whole:
                    for jar in (*made.jars_dir.glob("*.jar"), *made.modules_dir.glob("*.jar")):
                        _link(jar, whole / jar.name)
    return sorted(folder.glob("*.jar"))


def _link(jar: Path, place: Path) -> None:
    """Link a jar into another folder; copy it if the file system does not support hard links."""
    try:
        os.link(jar, place)
    except OSError:
        shutil.copy2(jar, place)


@contextmanager
def in_turn() -> Iterator[None]:
    """Let only one process at a time run jgo."""
    lock = _lock()
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _lock() -> BaseFileLock | None:
    from filelock import FileLock, Timeout

    cache = cache_folder().parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache / "fijibridge.lock")
        lock.acquire(timeout=LOCK_TIMEOUT)
        return lock
    except Timeout:
        log.warning("another process has been fetching jars for %g s; continuing without waiting for it", LOCK_TIMEOUT)
    except OSError as error:  # a read-only cache needs no lock
        log.debug("jars are fetched without a lock, because none can be created in %s: %s", cache, error)
    return None


def is_cached(endpoints: Sequence[str]) -> bool:
    """Tell whether the jars of coordinates are on this machine, in our folder or in jgo's.

    jgo's folder is named after the first coordinate.
    """
    if kept(endpoints).is_dir():
        return True
    group, first, *_ = endpoints[0].split(":")
    folder = cache_folder().parent.joinpath("envs", *group.split("."), first)
    patterns = []
    for endpoint in endpoints:
        _, artifact, *version = endpoint.split(":")
        patterns.append(f"*/*/{artifact}-{version[0] if version else '[0-9]*'}.jar")
    return all(any(folder.glob(pattern)) for pattern in patterns)


def refuse_unreachable(endpoints: Sequence[str], repositories: Mapping[str, str], advice: str) -> None:
    """Check that the repositories answer, unless the jars are already on this machine.

    Without this check, jgo would try each artifact in each repository until all requests time out.

    Raises
    ------
    StartError
        If a repository does not answer; the message names it, and ends with `advice`.
    """
    if is_cached(endpoints):
        return
    import requests
    from jgo.constants import MAVEN_CENTRAL_URL

    urls = {"Maven Central": MAVEN_CENTRAL_URL, **repositories}

    def problem(url: str) -> str | None:
        try:
            requests.head(url, timeout=ANSWER_TIMEOUT, allow_redirects=True)
        except requests.RequestException as error:
            return type(error).__name__
        return None

    with ThreadPoolExecutor(len(urls)) as pool:
        problems = dict(zip(urls, pool.map(problem, urls.values()), strict=True))
    silent = [f"{name} ({urls[name]}): {why}" for name, why in problems.items() if why]
    if silent:
        raise StartError(
            f"{', '.join(endpoints)} must be fetched, but a Maven repository did not answer within "
            f"{ANSWER_TIMEOUT:g} s: {'; '.join(silent)}. {advice}"
        )
