"""Java of our own, compiled in the running JVM when first needed.

javassist comes with ij1-patcher, in the embedded ImageJ and in Fiji alike, so that no Java build and no jar of ours is
needed. Its compiler knows plain Java 1.4: no generics, no ``for (x : xs)``, no boxing, no lambdas.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jpype

from fijibridge.fiji.jvm import jars, startup_cache

log = logging.getLogger("fijibridge")

# --- many ROIs in one call --------------------------------------------------------------------------

_DECODE = """
public static ij.gui.Roi[] decode(byte[] data, int[] sizes, int[] colors, String axis) {
    ij.gui.Roi[] rois = new ij.gui.Roi[sizes.length];
    int at = 0;
    for (int i = 0; i < sizes.length; i++) {
        byte[] one = new byte[sizes[i]];
        System.arraycopy(data, at, one, 0, sizes[i]);
        at += sizes[i];
        ij.gui.Roi roi = ij.io.RoiDecoder.openFromByteArray(one);
        if (roi == null) throw new IllegalArgumentException("ROI " + i + " cannot be read");
        int stroke = (one[40] & 255) << 24 | (one[41] & 255) << 16 | (one[42] & 255) << 8 | (one[43] & 255);
        // a group brings its own colour, over the one that is stored
        if (roi.getGroup() > 0 && stroke != 0) roi.setStrokeColor(new java.awt.Color(stroke, true));
        if (colors.length > 0) roi.setStrokeColor(new java.awt.Color(colors[i], true));
        if (!roi.hasHyperStackPosition() && roi.getPosition() > 0) {
            if (axis.equals("slice")) roi.setPosition(0, roi.getPosition(), 0);
            if (axis.equals("frame")) roi.setPosition(0, 0, roi.getPosition());
        }
        rois[i] = roi;
    }
    return rois;
}
"""
_ENCODE = """
public static Object[] encode(ij.gui.Roi[] rois) {
    java.io.ByteArrayOutputStream all = new java.io.ByteArrayOutputStream();
    int[] sizes = new int[rois.length];
    for (int i = 0; i < rois.length; i++) {
        byte[] one = ij.io.RoiEncoder.saveAsByteArray(rois[i]);
        if (one == null) throw new IllegalArgumentException("ROI " + i + " cannot be stored: " + rois[i]);
        int frame = rois[i].getZPosition() == 0 ? rois[i].getTPosition() : 0;
        // of a series without slices the frame is the plane of the label image
        for (int b = 0; frame > 0 && b < 4; b++) one[56 + b] = (byte) (frame >> (24 - 8 * b));
        sizes[i] = one.length;
        all.write(one, 0, one.length);
    }
    return new Object[] {all.toByteArray(), sizes};
}
"""
_ADD = """
public static void add(ij.gui.Overlay overlay, ij.gui.Roi[] rois) {
    for (int i = 0; i < rois.length; i++) overlay.add(rois[i]);
}
"""
_MANAGE = """
public static void manage(ij.plugin.frame.RoiManager manager, ij.gui.Roi[] rois) {
    for (int i = 0; i < rois.length; i++) manager.add(rois[i], -1);
}
"""


@cache
def rois() -> Any:
    """Return ``ij.FijiBridgeRois``: ROIs to and from bytes, into an Overlay or the ROI Manager, all in one call."""
    return _make("ij.FijiBridgeRois", "ij.IJ", methods=(_DECODE, _ENCODE, _ADD, _MANAGE))


# --- stacks that live in Python ---------------------------------------------------------------------

_PROCESSOR = """
public ij.process.ImageProcessor getProcessor(int n) {
    if (n < 1 || n > labels.length) throw new IllegalArgumentException("slice " + n + " of " + labels.length);
    Object pixels = source.apply(Integer.valueOf(n));
    ij.process.ImageProcessor ip;
    if (pixels instanceof byte[]) ip = new ij.process.ByteProcessor(getWidth(), getHeight(), (byte[]) pixels, null);
    else if (pixels instanceof short[])
        ip = new ij.process.ShortProcessor(getWidth(), getHeight(), (short[]) pixels, null);
    else if (pixels instanceof int[]) ip = new ij.process.ColorProcessor(getWidth(), getHeight(), (int[]) pixels);
    else ip = new ij.process.FloatProcessor(getWidth(), getHeight(), (float[]) pixels, null);
    ip.setSliceNumber(n);
    return ip;
}
"""
_STACK = (
    "public int getSize() { return labels.length; }",
    "public int size() { return labels.length; }",
    "public String getSliceLabel(int n) { return labels[n - 1]; }",
    "public void setSliceLabel(String label, int n) { labels[n - 1] = label; }",
    "public Object getPixels(int n) { return getProcessor(n).getPixels(); }",
    """public void deleteSlice(int n) {
        throw new IllegalArgumentException("this stack lives in Python: duplicate it to change it");
    }""",
    """public void addSlice(String label, ij.process.ImageProcessor ip, int n) {
        throw new IllegalArgumentException("this stack lives in Python: duplicate it to change it");
    }""",
    _PROCESSOR,
)
_STACK_FIELDS = ("public java.util.function.Function source;", "public String[] labels;")


@cache
def stack() -> Any:
    """Return ``ij.FijiBridgeStack``, a VirtualStack whose ``source`` gives the pixels of slice n, from 1."""
    constructor = "public FijiBridgeStack(int width, int height) { super(width, height); }"
    return _make("ij.FijiBridgeStack", "ij.VirtualStack", "ij.VirtualStack", _STACK_FIELDS, _STACK, (constructor,))


# --- whether pixels are still those that they were --------------------------------------------------

_SUM = """
public static int sum(Object pixels) {
    java.util.zip.CRC32 sum = new java.util.zip.CRC32();
    if (pixels instanceof byte[]) {
        sum.update((byte[]) pixels, 0, ((byte[]) pixels).length);
        return (int) sum.getValue();
    }
    // Java sums bytes only; through a buffer it is several times as fast as number by number
    java.nio.ByteBuffer bytes = java.nio.ByteBuffer.allocateDirect(1 << 18).order(java.nio.ByteOrder.nativeOrder());
    int width = pixels instanceof short[] ? 2 : 4;
    int length = java.lang.reflect.Array.getLength(pixels), several = (1 << 18) / width;
    for (int first = 0; first < length; first += several) {
        int count = Math.min(several, length - first);
        bytes.clear();
        if (pixels instanceof short[]) bytes.asShortBuffer().put((short[]) pixels, first, count);
        else if (pixels instanceof float[]) bytes.asFloatBuffer().put((float[]) pixels, first, count);
        else bytes.asIntBuffer().put((int[]) pixels, first, count);
        bytes.limit(count * width);
        sum.update(bytes);
    }
    return (int) sum.getValue();
}
"""
_SUMS = """
public Object call() {
    Object[] planes = arrays;
    arrays = null;
    int[] sums = new int[planes.length];
    for (int i = 0; i < planes.length; i++) sums[i] = sum(planes[i]);
    return sums;
}
"""


@cache
def sums() -> Any:
    """Return ``ij.FijiBridgeSums``: a number for the pixels of a plane; as a Callable, those of all its planes."""
    return _make(
        "ij.FijiBridgeSums", "ij.IJ", None, ("public Object[] arrays;",), (_SUM, _SUMS),
        ("public FijiBridgeSums() {}",), ("java.util.concurrent.Callable",),
    )  # fmt: skip


# --- an interpreter that survives its macro ---------------------------------------------------------

_QUIET = "void showError(String title, String message, String[] variables) { this.told = message; }"
_ABORT = """
public void abort(String message) {
    told = message;
    error(message);
    throw new RuntimeException(ij.Macro.MACRO_CANCELED);
}
"""
_END = """
public static void end(ij.macro.Interpreter macro, String message) {
    if (message.length() > 0) macro.abort(message);
    if (macro instanceof ij.macro.FijiBridgeInterpreter) ((ij.macro.FijiBridgeInterpreter) macro).told = "cancelled";
    macro.ignoreErrors = true;
    macro.done = true;
}
"""
_KEEP = """
public static Object[] keepImages() {
    batchMode = true;
    if (imageTable == null) imageTable = new java.util.Vector();
    if (imageActivations == null) imageActivations = new java.util.Vector();
    return new Object[] {imageTable, imageActivations};
}
"""
_RESTORE = """
public static void restoreImages(Object[] kept) {
    batchMode = true;
    java.util.Vector images = (java.util.Vector) kept[0];
    java.util.Vector activations = (java.util.Vector) kept[1];
    if (imageTable != images && imageTable != null)
        for (int i = 0; i < imageTable.size(); i++)
            if (!images.contains(imageTable.get(i))) images.add(imageTable.get(i));
    if (imageActivations != activations && imageActivations != null)
        for (int i = 0; i < imageActivations.size(); i++) {
            activations.remove(imageActivations.get(i));
            activations.add(imageActivations.get(i));
        }
    imageTable = images;
    imageActivations = activations;
}
"""


@cache
def interpreter() -> Any:
    """Return ``ij.macro.FijiBridgeInterpreter``, which survives an error of its macro.

    ImageJ's own shows it in a modal dialog, which would block Python until it is closed, and (without windows, where
    images live in a list of the interpreter's) throws all open images away. ``ignoreErrors`` is no way out: with it
    the macro goes on after the error. Where a macro needs an image and none is open, ImageJ's own aborts it and goes on
    too if the end of its text was reached (``getTitle(``); without a main window ``IJ.getImage`` then ends the process
    (System.exit), for which Python would wait for ever. Here it is an error of the macro.

    ``end`` ends a macro, whoever interprets it: with a message as an error, with an empty one quietly.
    """
    parent = "ij.macro.Interpreter"
    methods = (_QUIET, _ABORT, _END, _KEEP, _RESTORE)
    return _make("ij.macro.FijiBridgeInterpreter", parent, parent, ("public String told;",), methods)


# --- commands that Python performs ------------------------------------------------------------------

PERSON, SCRIPT, MACRO, PYTHON = 0, 1, 2, 3
"""Who called a command: somebody in a menu, a script or Java by ``IJ.run``, a macro by ``run`` that ImageJ
runs, one that Python runs."""

_CALLER = """
private static int caller() {
    StackTraceElement[] frames = new Throwable().getStackTrace();
    for (int i = 0; i < frames.length; i++) {
        if (!frames[i].getClassName().equals("ij.IJ") || !frames[i].getMethodName().equals("run")) continue;
        String above = i + 1 < frames.length ? frames[i + 1].getClassName() : "";
        if (above.equals("ij.IJ")) continue;
        if (!above.startsWith("ij.macro.")) return 1;
        int at = i + 1;
        while (at < frames.length && !frames[at].getMethodName().equals("run")) at++;
        while (at < frames.length && frames[at].getClassName().equals("ij.macro.Interpreter")) at++;
        return at == frames.length || frames[at].getClassName().startsWith("org.jpype.") ? 3 : 2;
    }
    return 0;
}
"""
_RUN = """
public void run(String verb) {
    java.util.function.Function python = callee;
    if (python == null) {
        ij.IJ.error("FijiBridge", "The Python session that this command belongs to was closed.");
        return;
    }
    Object thrown = python.apply(new Object[] {verb, Integer.valueOf(caller())});
    if (thrown != null) throw (RuntimeException) thrown;
}
"""


@cache
def plugin() -> Any:
    """Return ``ij.plugin.FijiBridge``: ``run(verb)`` hands its argument, and who called, to the ``callee`` in Python.

    The callee returns null, or an exception to be thrown.
    """
    return _make(
        "ij.plugin.FijiBridge", "ij.plugin.PlugIn", None, ("public static java.util.function.Function callee;",),
        (_CALLER, _RUN), interfaces=("ij.plugin.PlugIn",),
    )  # fmt: skip


@cache
def failure() -> Any:
    """Return ``ij.plugin.FijiBridgeFailed``, an exception of a plugin that ends a script which called by IJ.run.

    ImageJ's Executer, through which IJ.run calls, catches whatever a plugin throws, and the script would go on. The one
    sign that it leaves, ``Macro.abort``, is shared by all threads and says nothing of the reason. This one reaches the
    script because the Executer asks what it caught for its message, and is answered by an exception.
    """
    return _make(
        "ij.plugin.FijiBridgeFailed", "ij.plugin.PlugIn", "java.lang.RuntimeException", ("private String text;",),
        ("public String getMessage() { throw new RuntimeException(text); }",),
        ("public FijiBridgeFailed(String text) { this.text = text; }",),
    )  # fmt: skip


# --- from source to class ---------------------------------------------------------------------------

_JAVASSIST = "org.javassist:javassist:3.30.2-GA"
"""For a JVM that has no javassist, of somebody who started plain ImageJ."""

_JAVA_11 = 55
"""Version of class files that all Javas since 11 load."""

_DEFINE = """
public static Class define(Class neighbour, byte[] code) {
    return java.lang.invoke.MethodHandles.privateLookupIn(neighbour, java.lang.invoke.MethodHandles.lookup())
        .defineClass(code);
}
"""

_made: dict[str, Any] = {}
_making = threading.RLock()


def _make(
    name: str, neighbour: str, parent: str | None = None, fields: tuple[str, ...] = (), methods: tuple[str, ...] = (),
    constructors: tuple[str, ...] = (), interfaces: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """Compile a class into the package of a neighbour class, once: two threads may ask for it at the same time."""
    with _making:
        if name not in _made:
            source = _Source(name, neighbour, parent, fields, methods, constructors, interfaces)
            _made[name] = _loaded(source)
        return _made[name]


@dataclass(frozen=True)
class _Source:
    """A class as javassist is to compile it."""

    name: str
    neighbour: str
    parent: str | None = None
    fields: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    constructors: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name of its compiled form: another one for each source, and for each ImageJ that it extends."""
        version = jpype.JClass("ij.ImageJ").class_.getField("VERSION").get(None)
        return startup_cache.key_of([self, version, _JAVA_11])


def _loaded(source: _Source) -> Any:
    """Load a class from the cache, or compile it; a cache that cannot be written to is passed over."""
    if _exists(source.name):  # an earlier start in this JVM, by another copy of this package
        return jpype.JClass(source.name)
    neighbour = jpype.JClass(source.neighbour).class_
    try:
        _define(neighbour, _code(source))
    except (OSError, *_refusals()) as error:
        log.debug("%s is compiled anew: %s", source.name, error)
        startup_cache.drop_class(source.name, source.key)
        _compiled(source).toClass(neighbour)
    return jpype.JClass(source.name)


def _refusals() -> tuple[Any, ...]:
    """Return what Java throws at a class file that is none, such as one of a disk that was full."""
    return jpype.JClass("java.lang.LinkageError"), jpype.JClass("java.lang.ClassNotFoundException")


def _code(source: _Source) -> bytes:
    """Return a compiled class, from the cache or for it."""
    code = startup_cache.read_class(source.name, source.key)
    if code is None:
        code = bytes(_compiled(source).toBytecode())
        try:
            startup_cache.keep_class(source.name, source.key, code)
        except OSError as error:
            log.debug("%s is compiled anew in each process: %s", source.name, error)
    return code


def _exists(name: str) -> bool:
    try:
        jpype.JClass(name)
    except TypeError:
        return False
    return True


def _define(neighbour: Any, code: bytes) -> None:
    """Put a class into the package and the class loader of another one.

    Raises
    ------
    OSError
        If the class that does it is in no cache and cannot be put there.
    """
    define = _definer()
    define.define(neighbour, jpype.JArray(jpype.JByte)(code))


@cache
def _definer() -> Any:
    """Return the class that defines others; ``MethodHandles.lookup`` needs a caller written in Java."""
    source = _Source("fijibridge.Definer", "java.lang.Object", methods=(_DEFINE,))
    for last in (False, True):
        if startup_cache.read_class(source.name, source.key) is None:
            startup_cache.keep_class(source.name, source.key, bytes(_compiled(source).toBytecode()))
        try:
            return _child_class([startup_cache.class_folder(source.key)], source.name)
        except _refusals():
            if last:
                raise
            startup_cache.drop_class(source.name, source.key)
    raise AssertionError("the second round returns or raises")


def _child_class(places: Sequence[Path], name: str) -> Any:
    """Return a class from jars or folders that are not on the class path."""
    urls = [jpype.JClass("java.io.File")(str(place)).toURI().toURL() for place in places]
    loader_class = jpype.JClass("java.net.URLClassLoader")
    loader = loader_class(jpype.JArray(jpype.JClass("java.net.URL"))(urls), _ij_loader())
    return jpype.JClass(loader.loadClass(name))


def _ij_loader() -> Any:
    return jpype.JClass("ij.IJ").class_.getClassLoader()


@cache
def _javassist() -> Callable[[str], Any]:
    """Return what finds javassist's classes: on the class path, as in Fiji, else in its own jar."""
    if _exists("javassist.ClassPool"):
        return lambda name: jpype.JClass(f"javassist.{name}")
    from fijibridge.fiji.jvm.startup import refuse_unreachable

    refuse_unreachable([_JAVASSIST], {})
    loader = _child_class(jars.jars_of([_JAVASSIST]), "javassist.ClassPool").class_.getClassLoader()
    return lambda name: jpype.JClass(loader.loadClass(f"javassist.{name}"))


def _compiled(source: _Source) -> Any:
    """Compile a class with javassist."""
    find = _javassist()
    pool = find("ClassPool")(True)
    pool.appendClassPath(find("ClassClassPath")(jpype.JClass("ij.IJ").class_))
    made = pool.makeClass(source.name, pool.get(source.parent)) if source.parent else pool.makeClass(source.name)
    made.getClassFile().setMajorVersion(_JAVA_11)  # else that of this Java, which an older one cannot load
    for interface in source.interfaces:
        made.addInterface(pool.get(interface))
    for field in source.fields:
        made.addField(find("CtField").make(field, made))
    for constructor in source.constructors:
        made.addConstructor(find("CtNewConstructor").make(constructor, made))
    for method in source.methods:
        made.addMethod(find("CtNewMethod").make(method, made))
    return made
