"""Start the one Java virtual machine that a process can have.

There are two ways, and never one in place of the other: a real Fiji (a folder or Maven coordinates, through
pyimagej), and "embedded": plain ImageJ from Maven Central, small and quick.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from fijibridge.errors import StartError
from fijibridge.fiji import jars
from fijibridge.fiji.installations import Java, fiji_places, find_java

log = logging.getLogger("fijibridge")

EMBEDDED = ("net.imagej:ij:1.54p", "net.imagej:ij1-patcher:2.0.0")
FIJI_COORDINATES = "sc.fiji:fiji"
ANSWER_WITHIN = 10.0
"""Seconds that a Maven repository has to answer before it counts as unreachable."""


def is_running() -> bool:
    """Tell whether this process has a JVM, ours or anybody's."""
    jpype = sys.modules.get("jpype")
    return bool(jpype is not None and jpype.isJVMStarted())


def display_problem() -> str | None:
    """Say why no windows can be opened, None if they can. Asked before the JVM starts, which cannot be undone."""
    if sys.platform == "darwin" and "IPython" not in sys.modules:
        return "on macOS windows need the main thread: use IPython or Jupyter with %gui osx, or mode='headless'"
    if not sys.platform.startswith("linux"):
        return None
    display = os.environ.get("DISPLAY", "")
    if not display:
        return "DISPLAY is not set: use mode='headless', or Xvfb"
    if not _answers(display):
        return f"no X server answers at DISPLAY={display}: use mode='headless', or Xvfb"
    return None


def _answers(display: str) -> bool:
    """Connect to an X server and hang up."""
    host, _, number = display.rpartition(":")
    number = number.split(".")[0]
    if not number.isdigit():
        return False
    path = f"/tmp/.X11-unix/X{number}"
    local = [(socket.AF_UNIX, path), (socket.AF_UNIX, "\0" + path)]
    remote = [(socket.AF_INET, (host, 6000 + int(number)))]
    for family, address in local if host in ("", "unix") else remote:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(3)
            try:
                connection.connect(address)
            except OSError:
                continue
            return True
    return False


def start_embedded(headless: bool, memory: str | None) -> Java:
    """Start a JVM with plain ImageJ in it, from Maven Central or the local cache.

    Raises
    ------
    StartError
        If the jars are in no cache and Maven Central does not answer.
    """
    java = find_java(display=not headless)
    options = ["--add-opens=java.base/java.lang=ALL-UNNAMED", *_options(headless, memory)]
    with _scyjava_configured(java, [], options, repositories={}) as scyjava:
        refuse_unreachable(list(EMBEDDED), {})
        scyjava.config.set_java_constraints(fetch="never")
        try:
            scyjava.config.add_classpath(*map(str, jars.jars_of(EMBEDDED)))
            scyjava.start_jvm()
        except Exception as error:
            raise StartError(
                f"ImageJ ({', '.join(EMBEDDED)}) could not be started with {java}: {error}. "
                "It comes from Maven Central the first time: is there a network?"
            ) from error
    # Before any class of ij.* is loaded: without it a headless IJ.run dies in AWT menus.
    _java_class("net.imagej.patcher.LegacyInjector").preinit()
    return java


def start_pyimagej(where: Path | str, mode: str, memory: str | None) -> tuple[Java, Any]:
    """Start a Fiji, from its folder or from Maven coordinates, and return the Java and the ImageJ2 gateway.

    Raises
    ------
    StartError
        If it cannot be had: says what was asked for and which repository did not answer.
    """
    import scyjava.config  # before imagej, whose import registers an endpoint

    repositories = dict(scyjava.config.get_repositories())
    folder = where if isinstance(where, Path) else None
    java = find_java(folder, display=mode != "headless")
    endpoints = [] if folder is not None else str(where).split("+")
    if endpoints:
        refuse_unreachable(endpoints, repositories)
    # pyimagej appends its own -Djava.awt.headless and --add-opens
    alone = jars.in_turn() if endpoints else nullcontext()
    with alone, _scyjava_configured(java, [], _options(False, memory), repositories) as scyjava_module:
        # fetch="never" crashes pyimagej 1.8.0; with JAVA_HOME set, "auto" downloads nothing
        scyjava_module.config.set_java_constraints(fetch="auto")
        import imagej

        # imglyb registers a Maven endpoint at its import: even a local folder would go online
        scyjava_module.config.endpoints.clear()
        target = str(folder) if folder is not None else endpoints if len(endpoints) > 1 else endpoints[0]
        try:
            return java, imagej.init(target, mode=mode)
        except Exception as error:
            raise StartError(
                f"{where} could not be started in mode {mode!r} with Java {java.version} from {java.source} "
                f"({java.home}): {error}" + _repositories_told(endpoints, repositories)
            ) from error


def _options(headless: bool, memory: str | None) -> list[str]:
    # -Xrs: signals are Python's. Java would end the process on Ctrl-C, without KeyboardInterrupt and finally
    # a report of a crash goes where it can always be written; Java's default is the working directory
    report = Path(tempfile.gettempdir()) / "fijibridge_java_crash_%p.log"
    # planes are arrays of many megabytes, which Java's usual collector handles five times as slowly
    options = [
        "-Xrs",
        "-XX:+UseParallelGC",
        f"-XX:ErrorFile={report}",
        *(["-Djava.awt.headless=true"] if headless else []),
    ]
    if memory is not None:
        if not re.fullmatch(r"\d+[mMgG]", memory):
            raise StartError(f"memory={memory!r}; expected a number of megabytes or gigabytes, such as '8g' or '800m'")
        # all of it from the beginning: a heap that grows is collected again and again while it is small
        options += [f"-Xmx{memory}", f"-Xms{memory}"]
    return options


@contextmanager
def _scyjava_configured(
    java: Java, endpoints: list[str], options: list[str], repositories: dict[str, str]
) -> Iterator[Any]:
    """Set scyjava's global configuration for one start, and put it back if the start failed."""
    import scyjava

    config = scyjava.config
    before = list(config.endpoints), list(config.get_options()), dict(config.get_repositories())
    java_home = os.environ.get("JAVA_HOME")
    os.environ["JAVA_HOME"] = str(java.home)
    config.endpoints[:] = endpoints
    config.get_options()[:] = [*before[1], *options]
    config.get_repositories().clear()
    config.get_repositories().update(repositories)
    with _without_chatter():
        try:
            yield scyjava
        except BaseException:
            config.endpoints[:], config.get_options()[:] = before[0], before[1]
            config.get_repositories().clear()
            config.get_repositories().update(before[2])
            _restore_environment("JAVA_HOME", java_home)
            raise


def _restore_environment(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep jgo's notices (a jar tool that is not needed) off the user's console."""
    logger = logging.getLogger("jgo")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def refuse_unreachable(endpoints: list[str], repositories: dict[str, str]) -> None:
    """Ask the repositories for a sign of life, unless the jars were resolved on this machine before."""
    if is_cached(endpoints):
        return
    import requests
    from jgo.constants import MAVEN_CENTRAL_URL

    urls = {"Maven Central": MAVEN_CENTRAL_URL, **repositories}

    def problem(url: str) -> str | None:
        try:
            requests.head(url, timeout=ANSWER_WITHIN, allow_redirects=True)
        except requests.RequestException as error:
            return type(error).__name__
        return None

    with ThreadPoolExecutor(len(urls)) as pool:
        problems = dict(zip(urls, pool.map(problem, urls.values()), strict=True))
    silent = [f"{name} ({urls[name]}): {why}" for name, why in problems.items() if why]
    if silent:
        raise StartError(
            f"{', '.join(endpoints)} is not on this machine, and a Maven repository did not answer within "
            f"{ANSWER_WITHIN:g} s: {'; '.join(silent)}. {_advice(endpoints)}"
        )


def _advice(endpoints: list[str]) -> str:
    if endpoints == list(EMBEDDED):
        return "Connect to the network once, or copy ~/.jgo and ~/.m2 from a machine that has it."
    places = ", ".join(str(p) for p in fiji_places()[:4])
    return (
        f"A Fiji folder was looked for in FIJI_HOME, {places} and the like. Give one, start('/path/to/Fiji'), set "
        "FIJI_HOME, or use plain ImageJ: start('embedded')."
    )


def is_cached(endpoints: list[str]) -> bool:
    """Tell whether these coordinates were resolved before: by us, or by jgo, in an environment named by the first."""
    import scyjava.config

    if jars.kept(endpoints).is_dir():
        return True
    group, first, *_ = endpoints[0].split(":")
    folder = Path(scyjava.config.get_cache_dir()).joinpath("envs", *group.split("."), first)
    patterns = []
    for endpoint in endpoints:
        _, artifact, *version = endpoint.split(":")
        patterns.append(f"*/*/{artifact}-{version[0] if version else '[0-9]*'}.jar")
    return all(any(folder.glob(pattern)) for pattern in patterns)


def _repositories_told(endpoints: list[str], repositories: dict[str, str]) -> str:
    if not endpoints:
        return ""
    return f". Asked: Maven Central, {', '.join(repositories)}. " + _advice(endpoints)


def _java_class(name: str) -> Any:
    import jpype

    return jpype.JClass(name)
