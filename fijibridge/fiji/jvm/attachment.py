"""Find the ImageJ that other code started in this process: ``imagej.init``, Fiji's Python mode, napari-imagej.

This module creates no SciJava context, ImageJ window or exit hook. It uses only jpype and ``ij.*``, because importing
pyimagej after the JVM has started runs start-up hooks that may fail.
"""

from __future__ import annotations

import logging
import sys
from functools import cache
from pathlib import Path
from typing import Any

from fijibridge.errors import StartError
from fijibridge.fiji.jvm import startup
from fijibridge.fiji.jvm.lifetime import Running, flavor_of, is_disposed
from fijibridge.fiji.jvm.reflection import has_class, java_class, private_field
from fijibridge.imagej.installations import Java

log = logging.getLogger("fijibridge")

_EFFECTS = {
    "-Xrs": "Ctrl-C and SIGTERM may end the process without KeyboardInterrupt and 'finally'",
    "-XX:+UseParallelGC": "showing large stacks takes longer",
    "-XX:ErrorFile": "if Java crashes, its report is written to the working directory",
}
"""JVM options that ``Fiji.start`` sets, with the effect of each if it is missing."""

_reported: set[str] = set()


def find(gateway: Any = None, known: Running | None = None) -> Running:
    """Return the ImageJ that runs in this process.

    Parameters
    ----------
    gateway
        Gateway that ``imagej.init`` returned, or a SciJava context. By default, the existing context; if there is no
        context, plain ImageJ.
    known
        The ImageJ that was joined earlier. Its gateway is reused if the context is the same.

    Raises
    ------
    StartError
        If no JVM is running, the JVM lacks ImageJ's classes, or the ImageJ2 on its class path was not started.
    """
    if not startup.is_running():
        raise StartError("no JVM runs in this process, so there is no Fiji to join: use fijibridge.Fiji.start()")
    if not has_class("ij.IJ"):
        raise StartError(
            "the JVM of this process has no ImageJ (class ij.IJ): start it with ImageJ 1.x on the class path, for "
            "example imagej.init(..., add_legacy=True), or use Fiji.start() in a new Python process"
        )
    found = _as_gateway(context() if gateway is None else gateway)
    if gateway is None and known is not None and _same(known.gateway, found):
        found = known.gateway
    if found is None and has_class("net.imagej.legacy.LegacyService"):
        raise StartError(
            "ImageJ2 is on the class path of this JVM, but was not started, or was quit: call imagej.init(...) first "
            "(in the running JVM), then fijibridge.Fiji.attach()"
        )
    headless = bool(java_class("java.awt.GraphicsEnvironment").isHeadless())
    if headless:
        _patch()
    return Running(
        where=None, mode="headless" if headless else "interactive", java=_java(), gateway=found,
        flavor="imagej" if found is None else flavor_of(found), ours=False,
    )  # fmt: skip


def refuse_another(gateway: Any, running: Running) -> None:
    """Check that a gateway belongs to the ImageJ2 that fijibridge started.

    Raises
    ------
    StartError
        If it belongs to a different ImageJ2.
    """
    if gateway is not None and not _same(_as_gateway(gateway), running.gateway):
        raise StartError(
            "this process runs a Fiji started by fijibridge, but the gateway passed to attach() belongs to a different "
            "ImageJ2: call attach() without arguments"
        )


def _same(one: Any, other: Any) -> bool:
    """Tell whether two gateways belong to the same ImageJ2."""
    return one is not None and other is not None and bool(one.getContext().equals(other.getContext()))


def _java() -> Java:
    """Describe the Java installation of the running JVM."""
    system = java_class("java.lang.System")
    version = int(str(system.getProperty("java.specification.version")).removeprefix("1."))
    return Java(Path(str(system.getProperty("java.home"))), version, "running JVM")


# --- the gateway ------------------------------------------------------------------------------------


def context() -> Any:
    """Return the existing SciJava context; None for plain ImageJ.

    ImageJ2's hooks in ImageJ 1.x know the context. The hooks of ij1-patcher are not called, because they would create a
    context.
    """
    if not has_class("org.scijava.Context"):
        return None
    listed = _listed_contexts()
    if listed is not None and not listed:
        return None  # before a class of ImageJ is loaded, because ImageJ2 could then no longer patch it
    if _is_patched():
        ij = java_class("ij.IJ")
        hooks = ij.class_.getField("_hooks").get(None)
        if hooks is not None and str(hooks.getClass().getName()) == "net.imagej.legacy.DefaultLegacyHooks":
            return ij.runPlugIn("org.scijava.Context", "")
    if listed and len(listed) > 1:
        raise StartError(f"{len(listed)} SciJava contexts run in this process: choose one with Fiji.attach(ij)")
    return listed[0] if listed else None


def _listed_contexts() -> list[Any] | None:
    """Return the contexts that are not disposed; None before SciJava 2.98, which is the first version to list them."""
    context_class = java_class("org.scijava.Context")
    names = {str(field.getName()) for field in context_class.class_.getDeclaredFields()}
    if not {"CONTEXTS", "disposed"} <= names:
        return None
    contexts, disposed = (private_field(context_class, name) for name in ("CONTEXTS", "disposed"))
    return [c for c in list(contexts.get(None).keySet()) if not disposed.getBoolean(c)]


def _as_gateway(found: Any) -> Any:
    """Return the ImageJ2 gateway around a context; None for plain ImageJ.

    Raises
    ------
    StartError
        If `found` is neither a gateway nor a context, or its ImageJ2 was quit.
    """
    if found is None:
        return None
    context_class = java_class("org.scijava.Context") if has_class("org.scijava.Context") else None
    inner = found if context_class is None else getattr(found, "getContext", lambda: found)()
    if context_class is None or not isinstance(inner, context_class):
        raise StartError(
            f"attach() expects the gateway that imagej.init returned, or no argument; got {type(found).__name__}"
        )
    if is_disposed(inner):
        raise StartError(
            "this ImageJ2 was quit, so its services are gone: call imagej.init again, and attach to the new gateway"
        )
    if found is not inner:
        return found
    return java_class("net.imagej.ImageJ")(inner) if has_class("net.imagej.ImageJ") else None


@cache
def _is_patched() -> bool:
    """Tell whether ij1-patcher has patched ImageJ's classes."""
    return any(str(field.getName()) == "_hooks" for field in java_class("ij.IJ").class_.getFields())


def _patch() -> None:
    """Patch plain ImageJ to run without windows, if ij1-patcher is available and no class of ImageJ is loaded yet."""
    name = "net.imagej.patcher.LegacyInjector"
    if has_class("org.scijava.Context") or not has_class(name):
        return
    try:
        java_class(name).preinit()
    except java_class("java.lang.RuntimeException") as error:
        log.debug("ImageJ's classes are not patched: %s", error)


# --- missing options -----------------------------------------------------------------------------


def report_missing_options() -> list[str]:
    """Log which options of ``Fiji.start`` the JVM lacks, with the effects, and return the missing options.

    Each option is reported once. The message is a warning only if Ctrl-C is affected, because the JVM works without the
    options.
    """
    if not has_class("java.lang.management.ManagementFactory"):
        return []
    given = java_class("java.lang.management.ManagementFactory").getRuntimeMXBean().getInputArguments()
    arguments = [str(argument) for argument in given]
    missing = [o for o in _EFFECTS if not any(a.split("=")[0] == o for a in arguments) and o not in _reported]
    if sys.platform == "win32" and "-Xrs" in missing:
        missing.remove("-Xrs")  # Windows has no signals that Java could intercept
    if missing:
        level = logging.WARNING if "-Xrs" in missing else logging.INFO
        effects = "; ".join(f"{_EFFECTS[option]} ({option})" for option in missing)
        log.log(level, "joined the JVM of this process, which lacks options of Fiji.start(): %s", effects)
    _reported.update(missing)
    return missing
