"""Start the Java virtual machine of this process; a process can have only one.

It runs either Fiji (from a folder or Maven coordinates, through pyimagej) or "embedded": plain ImageJ from Maven
Central, which is small and starts quickly. If one of them cannot be started, the other is not started instead.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from fijibridge.errors import StartError
from fijibridge.fiji.jvm import imglyb_jar, startup_cache
from fijibridge.fiji.jvm.reflection import java_class
from fijibridge.imagej.installations import Java, fiji_places, find_java, java_libraries
from fijibridge.java import jars
from fijibridge.renames import rename_attributes

log = logging.getLogger("fijibridge")


def has_dynalink(java: Java) -> bool:
    """Tell whether the ``release`` file of a Java installation lists the module that Fiji's JavaScript needs."""
    modules = re.search(r'^MODULES="(.*)"', (java.home / "release").read_text(errors="replace"), re.MULTILINE)
    return modules is None or "jdk.dynalink" in modules[1].split()


def is_running() -> bool:
    """Tell whether this process has a JVM, whoever started it."""
    jpype = sys.modules.get("jpype")
    return bool(jpype is not None and jpype.isJVMStarted())


_prepared = threading.local()


def prepare_thread() -> None:
    """Give this thread the class loader of ImageJ if it has none.

    JPype attaches Python threads without a class loader. In such a thread, Swing does not find the classes of its look
    and feel, so the first window that the thread opens would fail.
    """
    if getattr(_prepared, "done", False):
        return
    thread = java_class("java.lang.Thread").currentThread()
    if thread.getContextClassLoader() is None:
        thread.setContextClassLoader(java_class("ij.IJ").class_.getClassLoader())
    _prepared.done = True


EVENTS = (
    "java.awt.AWTEvent", "java.awt.event.ActionEvent", "java.awt.event.AdjustmentEvent",
    "java.awt.event.ComponentEvent", "java.awt.event.ContainerEvent", "java.awt.event.FocusEvent",
    "java.awt.event.HierarchyEvent", "java.awt.event.InputEvent", "java.awt.event.InputMethodEvent",
    "java.awt.event.InvocationEvent", "java.awt.event.ItemEvent", "java.awt.event.KeyEvent",
    "java.awt.event.MouseEvent", "java.awt.event.MouseWheelEvent", "java.awt.event.PaintEvent",
    "java.awt.event.TextEvent", "java.awt.event.WindowEvent",
)  # fmt: skip
"""AWT's event classes, whose initializers wait for AWT's lock."""


def initialise_events() -> None:
    """Initialize AWT's event classes before we open a window or create a listener.

    If a thread other than AWT's creates a listener, it initializes the class of the listener's event, and so waits for
    AWT's lock. AWT's thread holds this lock while it handles an event, and may wait for the same class, so that both
    threads would wait forever.
    """
    loader = java_class("java.lang.ClassLoader").getSystemClassLoader()
    for name in EVENTS:
        java_class("java.lang.Class").forName(name, True, loader)


def display_problem() -> str | None:
    """Return the reason why no windows can be opened; None if they can be. This works before the JVM starts."""
    if sys.platform == "darwin" and "IPython" not in sys.modules:
        return "on macOS, windows need the main thread: use IPython or Jupyter with %gui osx, or mode='headless'"
    if not sys.platform.startswith("linux"):
        return None
    display = os.environ.get("DISPLAY", "")
    if not display:
        return "DISPLAY is not set: use mode='headless', or Xvfb"
    if not _answers(display):
        return f"no X server answers at DISPLAY={display}: use mode='headless', or Xvfb"
    return None


def _answers(display: str) -> bool:
    """Tell whether an X server accepts a connection."""
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


def start_embedded(headless: bool, heap: str | None) -> Java:
    """Start a JVM with plain ImageJ from Maven Central or the local cache.

    Raises
    ------
    StartError
        If ImageJ cannot be started, or its jars are not on this machine and Maven Central does not answer.
    """
    import jpype

    java = find_java(display=not headless)
    options = ["--add-opens=java.base/java.lang=ALL-UNNAMED", *_options(headless, heap)]
    refuse_unreachable(list(jars.EMBEDDED), {})
    try:
        found = jars.jars_of(jars.EMBEDDED)
        patched = startup_cache.patched_jar(found, headless)
        options += _archive_options(java)
        # the patched jar comes before ImageJ's own, so its classes are loaded
        for jar in [*([patched] if patched.is_file() else []), *found]:
            jpype.addClassPath(str(jar))
        _start_jpype(java, [*_user_options(), *options])
    except Exception as error:
        raise StartError(
            f"ImageJ ({', '.join(jars.EMBEDDED)}) could not be started with {java}: {error}. "
            "The first start downloads ImageJ from Maven Central, and needs a network connection"
        ) from error
    _patch(patched, headless)
    return java


def _start_jpype(java: Java, options: list[str]) -> None:
    """Start the JVM as scyjava does, but do not run ``java -version`` first, which saves time."""
    import jpype.config

    library = next(map(str, java_libraries(java.home)), None)
    java_home = os.environ.get("JAVA_HOME")
    os.environ["JAVA_HOME"] = str(java.home)
    try:
        jpype.startJVM(*options, jvmpath=library, interrupt=True)
    except BaseException:
        _restore_environment("JAVA_HOME", java_home)
        raise
    jpype.config.onexit = False
    jpype.config.free_resources = False
    atexit.register(_shut_down)
    if "scyjava" in sys.modules:  # code that has imported it expects its converters
        imglyb_jar.guard_callbacks()
        for callback in sys.modules["scyjava._jvm"]._startup_callbacks:
            callback()


def _shut_down() -> None:
    """Shut down the JVM when Python ends, after closing its windows, which would keep it alive."""
    import jpype

    if not jpype.isJVMStarted():
        return
    if "scyjava" in sys.modules:
        sys.modules["scyjava"].shutdown_jvm()  # also runs scyjava's shutdown callbacks
        return
    for window in java_class("java.awt.Window").getWindows():
        window.dispose()
    jpype.shutdownJVM()


def _user_options() -> list[str]:
    """Return the JVM options that the user set in scyjava."""
    config = sys.modules.get("scyjava.config")
    return [] if config is None else list(config.get_options())


def _archive_options(java: Java) -> list[str]:
    """Return options with which Java uses the class archive in our cache; none if Java has its own archive.

    The archive is written if it does not exist. If it cannot be written, no options are returned.
    """
    archive = startup_cache.class_archive(java)
    if archive is None:
        return []
    failed = archive.with_suffix(".failed")
    if failed.is_file():
        return []
    if not archive.is_file():
        try:
            startup_cache.write_class_archive(java, archive)
        except subprocess.SubprocessError as error:
            log.info("this Java cannot write an archive of its classes (this is not tried again): %s", error)
            failed.touch()
            return []
        except OSError as error:
            log.debug("Java's classes will be parsed at each start: %s", error)
            return []
    return ["-Xshare:auto", f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off"]


def _patch(patched: Path, headless: bool) -> None:
    """Patch ImageJ's classes unless they come from the patched jar, and save the patched classes for the next start.

    Java is asked which jar it uses, because the file system does not show this: another process may have written the
    jar meanwhile, and Java skips a jar that it cannot read. Call this function before any class of ij.* is loaded,
    because without the patches, IJ.run fails in AWT menus if there are no windows.
    """
    import jpype

    place = java_class("java.lang.ClassLoader").getSystemClassLoader().getResource("ij/IJ.class")
    if patched.name in str(place):
        return
    java_class("net.imagej.patcher.LegacyInjector").preinit()
    try:
        startup_cache.write_patched_jar(patched, headless)
    except (OSError, jpype.JException) as error:  # Java raises its own exception if the disk is full
        log.debug("ImageJ's classes will be patched at each start: %s", error)


def start_pyimagej(where: Path | str, mode: str, heap: str | None) -> tuple[Java, Any]:
    """Start Fiji from a folder or Maven coordinates, and return the Java installation and the ImageJ2 gateway.

    Raises
    ------
    StartError
        If Fiji cannot be fetched or started; the message names the repositories that do not answer.
    """
    import scyjava.config  # before imagej, which registers an endpoint when it is imported

    repositories = dict(scyjava.config.get_repositories())
    folder = where if isinstance(where, Path) else None
    java = find_java(folder, display=mode != "headless")
    if not has_dynalink(java):
        log.warning(
            "Java %s from %s lacks the module jdk.dynalink, so this Fiji cannot run JavaScript: use the Java that "
            "comes with Fiji, or set JAVA_HOME to a full JDK", java.version, java.source,
        )  # fmt: skip
    endpoints = [] if folder is not None else str(where).split("+")
    if endpoints:
        refuse_unreachable(endpoints, repositories)
    # pyimagej appends its own -Djava.awt.headless and --add-opens
    alone = jars.in_turn() if endpoints else nullcontext()
    with alone, _scyjava_configured(java, [], _options(False, heap), repositories) as scyjava_module:
        # fetch="never" makes pyimagej 1.8.0 crash; with JAVA_HOME set, "auto" downloads nothing
        scyjava_module.config.set_java_constraints(fetch="auto")
        import imagej

        imglyb_jar.prepare(folder, repositories)
        target = str(folder) if folder is not None else endpoints if len(endpoints) > 1 else endpoints[0]
        try:
            return java, imagej.init(target, mode=mode)
        except Exception as error:
            raise StartError(
                f"{where} could not be started in mode {mode!r} with Java {java.version} from {java.source} "
                f"({java.home}): {error}" + _repositories_text(endpoints, repositories)
            ) from error


def _options(headless: bool, heap: str | None) -> list[str]:
    # -Xrs leaves signals to Python: on Ctrl-C, Java would end the process without KeyboardInterrupt and 'finally'.
    # Java writes crash reports to the working directory by default, which may be read-only.
    report = Path(tempfile.gettempdir()) / "fijibridge_java_crash_%p.log"
    # For arrays of many megabytes, such as planes, Java's default garbage collector is five times slower than this one.
    options = [
        "-Xrs",
        "-XX:+UseParallelGC",
        f"-XX:ErrorFile={report}",
        *(["-Djava.awt.headless=true"] if headless else []),
    ]
    if heap is not None:
        if not re.fullmatch(r"\d+[mMgG]", heap):
            raise StartError(f"heap={heap!r}; expected a number of megabytes or gigabytes, such as '8g' or '800m'")
        # reserve the whole heap at once, because a growing heap is collected again and again while it is small
        options += [f"-Xmx{heap}", f"-Xms{heap}"]
    return options


@contextmanager
def _scyjava_configured(
    java: Java, endpoints: list[str], options: list[str], repositories: dict[str, str]
) -> Iterator[Any]:
    """Set scyjava's global configuration for one start, and restore it if the start fails."""
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
    """Hide jgo's messages about a missing program ``jar``, because this program is not needed."""
    logger = logging.getLogger("jgo")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def refuse_unreachable(endpoints: list[str], repositories: dict[str, str]) -> None:
    """Check that the Maven repositories answer, unless the jars are on this machine."""
    jars.refuse_unreachable(endpoints, repositories, _advice(endpoints))


def _advice(endpoints: list[str]) -> str:
    if endpoints == list(jars.EMBEDDED):
        return "Connect to the network once, or copy ~/.jgo and ~/.m2 from a machine that has them."
    places = ", ".join(str(p) for p in fiji_places()[:4])
    return (
        f"No Fiji was found in FIJI_HOME, {places} and similar folders. Pass the folder of Fiji, as in "
        "start('/path/to/Fiji'), set FIJI_HOME, or use plain ImageJ with start('embedded')."
    )


def _repositories_text(endpoints: list[str], repositories: dict[str, str]) -> str:
    if not endpoints:
        return ""
    return f". These repositories were asked: {', '.join(['Maven Central', *repositories])}. " + _advice(endpoints)


rename_attributes(__name__, {"EMBEDDED": "java.jars:EMBEDDED", "FIJI_COORDINATES": "java.jars:FIJI"})
