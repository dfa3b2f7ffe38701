"""Java of our own, compiled in the running JVM when first needed.

javassist comes with ij1-patcher, in the embedded ImageJ and in Fiji alike, so that no Java build and no jar of ours is
needed. Its compiler knows plain Java 1.4: no generics, no ``for (x : xs)``, no boxing, no lambdas.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import jpype

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
    imageTable = (java.util.Vector) kept[0];
    imageActivations = (java.util.Vector) kept[1];
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


_made: dict[str, Any] = {}
_making = threading.RLock()


def _make(
    name: str, neighbour: str, parent: str | None = None, fields: tuple[str, ...] = (), methods: tuple[str, ...] = (),
    constructors: tuple[str, ...] = (), interfaces: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """Compile a class into the package of a neighbour class, once: two threads may ask for it at the same time."""
    with _making:
        if name not in _made:
            _made[name] = _compiled(name, neighbour, parent, fields, methods, constructors, interfaces)
        return _made[name]


def _compiled(
    name: str, neighbour: str, parent: str | None, fields: tuple[str, ...], methods: tuple[str, ...],
    constructors: tuple[str, ...], interfaces: tuple[str, ...],
) -> Any:  # fmt: skip
    beside = jpype.JClass(neighbour)
    pool = jpype.JClass("javassist.ClassPool").getDefault()
    pool.appendClassPath(jpype.JClass("javassist.ClassClassPath")(beside.class_))
    made = pool.makeClass(name, pool.get(parent)) if parent else pool.makeClass(name)
    for interface in interfaces:
        made.addInterface(pool.get(interface))
    for source in fields:
        made.addField(jpype.JClass("javassist.CtField").make(source, made))
    for source in constructors:
        made.addConstructor(jpype.JClass("javassist.CtNewConstructor").make(source, made))
    for source in methods:
        made.addMethod(jpype.JClass("javassist.CtNewMethod").make(source, made))
    made.toClass(beside.class_)
    return jpype.JClass(name)
