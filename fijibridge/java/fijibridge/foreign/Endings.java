package fijibridge.foreign;

import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import java.lang.reflect.Field;
import java.util.regex.Pattern;
import javax.script.ScriptException;

/** Exceptions that end the caller of a verb although SciJava and ImageJ catch them, and access to private members. */
final class Endings {
    /** Classes through which Java and Groovy call methods. */
    static final Pattern RUNTIME =
        Pattern.compile("(java|jdk|sun|groovy|org\\.codehaus\\.groovy|org\\.apache\\.groovy)\\..*");

    private Endings() {}

    /** Returns a private field of one of ImageJ's classes. */
    static Field field(Class<?> type, String name) {
        try {
            Field field = type.getDeclaredField(name);
            field.setAccessible(true);
            return field;
        } catch (NoSuchFieldException error) {
            String member = type.getName() + "." + name;
            throw new IllegalStateException("this ImageJ has no " + member + "; please report this error", error);
        }
    }

    static Object get(Class<?> type, String name) {
        try {
            return field(type, name).get(null);
        } catch (IllegalAccessException error) {
            throw new IllegalStateException(error);
        }
    }

    static void set(Class<?> type, String name, Object target, Object value) {
        try {
            field(type, name).set(target, value);
        } catch (IllegalAccessException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Tells whether the method that calls this one was called by a method of a class. */
    private static boolean calledBy(String name) {
        for (StackTraceElement frame : new Throwable().getStackTrace()) {
            String type = frame.getClassName();
            if (!type.startsWith("fijibridge.") && !RUNTIME.matcher(type).matches()) return type.equals(name);
        }
        return false;
    }

    /**
     * Ends the SciJava module of a script. SciJava catches and logs what a script throws, but it calls getCause of a
     * ScriptException outside its try block, so an exception thrown by getCause leaves the module.
     */
    static final class ModuleEnd extends ScriptException {
        private static final long serialVersionUID = 1;
        private final Refusal refusal;

        ModuleEnd(Refusal refusal) {
            super(refusal.getMessage());
            this.refusal = refusal;
        }

        @Override
        public synchronized Throwable getCause() {
            if (calledBy("org.scijava.script.ScriptModule")) Endings.<RuntimeException>sneak(refusal);
            return null;
        }
    }

    /** Throws a checked exception without declaring it. */
    @SuppressWarnings("unchecked")
    private static <T extends Throwable> void sneak(Throwable error) throws T {
        throw (T) error;
    }

    /** The error of a module. It is checked, because SciJava would wrap a RuntimeException without its message. */
    static final class Refusal extends Exception {
        private static final long serialVersionUID = 1;
        private final transient Thread caller;

        /**
         * @param caller thread of the script that called IJ.run; null if the caller waits for the module itself
         */
        Refusal(String message, Thread caller) {
            super(message, null, false, false);
            this.caller = caller;
        }

        /** Returns the message; on the thread of the script, throws an exception that ImageJ does not catch. */
        @Override
        public String toString() {
            if (caller != null && Thread.currentThread() == caller) throw new CommandEnd(getMessage());
            return getMessage();
        }
    }

    /** Reaches a script that called IJ.run: ImageJ's Executer catches it, and calls getMessage, which throws. */
    static final class CommandEnd extends RuntimeException {
        private static final long serialVersionUID = 1;
        private final String text;

        CommandEnd(String text) {
            super(text);
            this.text = text;
        }

        @Override
        public String getMessage() {
            if (!calledBy("ij.Executer")) return text;
            // what IJ.run does at its end, which the exception skips
            Macro.setOptions(null);
            set(IJ.class, "macroRunning", null, false);
            ImagePlus own = WindowManager.getTempCurrentImage();
            if (own != null && WindowManager.getImage(own.getID()) == null) WindowManager.setTempCurrentImage(null);
            throw new RuntimeException(text);
        }
    }
}
