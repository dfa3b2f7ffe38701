package fijibridge.foreign;

import fijibridge.Cancelled;
import fijibridge.verbs.Dialog;
import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import ij.macro.Interpreter;
import java.awt.GraphicsEnvironment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.scijava.script.ScriptModule;
import org.scijava.thread.ThreadService;

/** The caller of a verb, and the values that it passed. */
final class Caller {
    /** Kind of caller: a person (menu), a macro (run), a script (IJ.run), or SciJava (services, command line). */
    enum Kind { PERSON, MACRO, SCRIPT, MODULE }

    private static final Pattern VARIABLE = Pattern.compile("&([A-Za-z_]\\w*)");

    final Kind kind;
    /** Options passed by a macro or script; null if there are none. */
    final String options;
    /** Values passed to SciJava, by name. */
    final Map<String, Object> inputs = new LinkedHashMap<>();
    private final ScriptModule module;
    /** The calling macro; null if no macro calls, or ImageJ does not know which one. */
    private final Interpreter macro;
    /** Threads that wait for this thread, starting with the direct caller. */
    private final List<Thread> waiting = new ArrayList<>();

    /**
     * @param module SciJava's module of the script; null if unknown
     * @param names names of the verb's inputs
     * @param values values passed in addition to those of the module
     */
    Caller(ScriptModule module, List<String> names, Map<String, Object> values) {
        this.module = module;
        ThreadService threads = module == null ? null : module.context().getService(ThreadService.class);
        Thread next = threads == null ? null : threads.getParent(Thread.currentThread());
        while (next != null && !waiting.contains(next)) {
            waiting.add(next);
            next = threads.getParent(next);
        }
        for (String name : names)
            if (module != null && module.isInputResolved(name) && module.getInput(name) != null)
                inputs.put(name, module.getInput(name));
        inputs.putAll(values);
        kind = inputs.isEmpty() ? kindOf(nearest()) : Kind.MODULE;
        macro = kind == Kind.MACRO ? Interpreter.getInstance() : null;
        // Fiji's Macro.getOptions() would also search the callers of the caller
        boolean has = (kind == Kind.MACRO || kind == Kind.SCRIPT) && nearest() != null;
        options = has ? (String) ((Map<?, ?>) Endings.get(Macro.class, "table")).get(nearest()) : null;
    }

    private Thread nearest() {
        return waiting.isEmpty() ? null : waiting.get(0);
    }

    /** Determines the kind of a caller from the stack of its thread. */
    private static Kind kindOf(Thread caller) {
        StackTraceElement[] frames = caller == null ? new StackTraceElement[0] : caller.getStackTrace();
        int call = 0;
        while (call < frames.length && !frames[call].getMethodName().equals("runLegacyCompatibleCommand")) call++;
        // a thread with other code on top of its stack is running this code, and does not wait for the verb
        boolean waits = call < frames.length;
        for (int i = 0; i < call && waits; i++) waits = Endings.RUNTIME.matcher(frames[i].getClassName()).matches();
        int run = call;
        while (waits && run < frames.length && !isRun(frames[run])) run++;
        if (!waits || run == frames.length) return interactive() ? Kind.PERSON : Kind.MODULE;
        while (run < frames.length && frames[run].getClassName().equals("ij.IJ")) run++;
        return run < frames.length && frames[run].getClassName().startsWith("ij.macro.") ? Kind.MACRO : Kind.SCRIPT;
    }

    private static boolean isRun(StackTraceElement frame) {
        return frame.getClassName().equals("ij.IJ") && frame.getMethodName().equals("run");
    }

    static boolean interactive() {
        return !GraphicsEnvironment.isHeadless() && IJ.getInstance() != null;
    }

    /** Returns the SciJava context; null if unknown. */
    Object context() {
        return module == null ? null : module.context();
    }

    /** Tells whether the dialog must be shown to ask for the parameters. */
    boolean asks() {
        return options == null && inputs.isEmpty() && kind != Kind.MODULE && interactive();
    }

    /** Returns the values of the macro's variables that its options refer to as &amp;name. */
    Map<String, String> variables() {
        Map<String, String> found = new HashMap<>();
        Matcher named = VARIABLE.matcher(options);
        while (macro != null && named.find()) {
            String held = macro.getVariableAsString(named.group(1));
            if (held != null) found.put(named.group(1), held);
        }
        return found;
    }

    // --- the active image ---------------------------------------------------------------------------

    /** Returns the active image of the caller. The caller's thread may have an active image of its own. */
    ImagePlus image() {
        Map<?, ?> active = (Map<?, ?>) Endings.get(WindowManager.class, "tempImageTable");
        ImagePlus imp = nearest() == null ? null : (ImagePlus) active.get(nearest());
        return imp == null || imp.getProcessor() == null ? WindowManager.getCurrentImage() : imp;
    }

    /**
     * Sets the caller's active image for this thread. This is needed because SciJava's threads keep the active image of
     * their last script, even if it is closed.
     */
    void enter() {
        if (waiting.isEmpty()) return;
        WindowManager.setTempCurrentImage(null);
        WindowManager.setTempCurrentImage(image());
    }

    void leave() {
        if (!waiting.isEmpty()) WindowManager.setTempCurrentImage(null);
    }

    /** Makes an image the active one, also for the threads of the callers. */
    void activate(ImagePlus imp) {
        if (imp == null || imp.getProcessor() == null) return;
        boolean batch = Interpreter.isBatchMode();
        if (batch) Interpreter.activateImage(imp);
        else if (imp.getWindow() != null) {
            imp.getWindow().toFront();
            WindowManager.setCurrentWindow(imp.getWindow());
        }
        // without windows, the last image is active anyway, and a thread would keep its own image after it is closed
        ImagePlus held = batch && interactive() ? imp : null;
        WindowManager.setTempCurrentImage(Thread.currentThread(), held);
        for (Thread thread : waiting) WindowManager.setTempCurrentImage(thread, held);
    }

    // --- the end ------------------------------------------------------------------------------------

    /** Ends the caller; if the caller is a person, shows the message instead. Shows no message if quietly. */
    void end(String command, String message, boolean quietly) throws Exception {
        if (kind == Kind.PERSON) {
            if (!quietly) show(command, Dialog.wrapped(message));
        } else if (kind == Kind.MACRO && macro != null) {
            stopMacro(interactive() ? Dialog.wrapped(message) : message, quietly);
        } else if (kind == Kind.MACRO) {
            if (!quietly) show("Macro Error", message);
            throw ending(Macro.MACRO_CANCELED);
        } else {
            if (kind == Kind.MODULE) endProcess(message);
            throw ending(quietly && kind == Kind.SCRIPT ? Macro.MACRO_CANCELED : message);
        }
    }

    static void show(String title, String message) {
        plainly(() -> {
            IJ.showMessage(title, message);
            return null;
        });
    }

    /** Ends a Fiji without windows whose command line runs the script; it would otherwise go on, and exit with 0. */
    private void endProcess(String message) throws InterruptedException {
        boolean commandLine = false;
        if (waiting.size() == 1)
            for (StackTraceElement frame : nearest().getStackTrace())
                commandLine = commandLine || frame.getClassName().equals("org.scijava.run.console.RunArgument");
        if (interactive() || !commandLine) return;
        System.err.println(message);
        Thread end = new Thread(() -> System.exit(1), "FijiBridge-End");
        end.setDaemon(true);
        end.start();
        end.join(200);
    }

    private Exception ending(String message) {
        if (module == null) return new RuntimeException(message);
        return new Endings.ModuleEnd(new Endings.Refusal(message, kind == Kind.MODULE ? null : nearest()));
    }

    /**
     * Ends the macro, with an error unless quietly. Without windows, ImageJ then drops its list of open images; this
     * method restores it.
     */
    private void stopMacro(String message, boolean quietly) {
        Map<String, Object> kept = new HashMap<>();
        if (!interactive())
            for (String name : new String[] {"imageTable", "imageActivations"})
                kept.put(name, Endings.get(Interpreter.class, name));
        if (!quietly)
            plainly(() -> {
                try {
                    macro.abort(message);
                } catch (RuntimeException ended) {
                    return null;  // this is how ImageJ ends a macro
                }
                return null;
            });
        Endings.set(Interpreter.class, "ignoreErrors", macro, true);
        Endings.set(Interpreter.class, "done", macro, true);
        kept.forEach((name, value) -> Endings.set(Interpreter.class, name, null, value));
    }

    /** Runs code on a new thread, because on SciJava's threads ImageJ finds a macro's options, and opens no dialog. */
    static <T> T plainly(Callable<T> work) {
        FutureTask<T> task = new FutureTask<>(work);
        Thread thread = new Thread(task, "FijiBridge-Dialog");
        if (thread.getContextClassLoader() == null) thread.setContextClassLoader(IJ.getClassLoader());
        thread.start();
        try {
            return task.get();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new Cancelled();
        } catch (java.util.concurrent.ExecutionException error) {
            if (error.getCause() instanceof RuntimeException) throw (RuntimeException) error.getCause();
            throw new IllegalStateException(error.getCause());
        }
    }
}
