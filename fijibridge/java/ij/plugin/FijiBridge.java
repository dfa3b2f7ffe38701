package ij.plugin;

import ij.IJ;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/** Plugin for fijibridge's commands in ImageJ's menu. It passes the name of a verb and the kind of caller to Python. */
public class FijiBridge implements PlugIn {
    /** Python function that is called with the name of a verb and the kind of caller; returns null or an exception. */
    public static Function<Object, Object> callee;

    private static final List<String> INTERPRETERS =
        Arrays.asList("ij.macro.Interpreter", "ij.macro.FijiBridgeInterpreter");
    private static final int PERSON = 0, SCRIPT = 1, MACRO = 2, PYTHON = 3;

    @Override
    public void run(String verb) {
        Function<Object, Object> python = callee;
        if (python == null) {
            IJ.error("FijiBridge", "The Python session that this command belongs to was closed.");
            return;
        }
        Object thrown = python.apply(new Object[] {verb, caller()});
        if (thrown != null) throw (RuntimeException) thrown;
    }

    /** Finds the kind of caller on the stack: menu, IJ.run in a script, or run in a macro that ImageJ or Python ran. */
    private static int caller() {
        StackTraceElement[] frames = new Throwable().getStackTrace();
        for (int i = 0; i < frames.length; i++) {
            if (!frames[i].getClassName().equals("ij.IJ") || !frames[i].getMethodName().equals("run")) continue;
            String above = i + 1 < frames.length ? frames[i + 1].getClassName() : "";
            if (above.equals("ij.IJ")) continue;
            if (!above.startsWith("ij.macro.")) return SCRIPT;
            int at = i + 1;
            while (at < frames.length && !frames[at].getMethodName().equals("run")) at++;
            while (at < frames.length && INTERPRETERS.contains(frames[at].getClassName())) at++;
            return at == frames.length || frames[at].getClassName().startsWith("org.jpype.") ? PYTHON : MACRO;
        }
        return PERSON;
    }
}
