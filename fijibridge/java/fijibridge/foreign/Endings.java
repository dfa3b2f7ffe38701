package fijibridge.foreign;

import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import java.lang.reflect.Field;
import java.util.regex.Pattern;
import javax.script.ScriptException;

/** Exceptions that end who called a verb, though SciJava and ImageJ catch what a script throws; and hidden members. */
final class Endings {
    /** Classes by which Java and Groovy call others. */
    static final Pattern RUNTIME =
        Pattern.compile("(java|jdk|sun|groovy|org\\.codehaus\\.groovy|org\\.apache\\.groovy)\\..*");

    private Endings() {}

    /** Returns a private field of ImageJ's. */
    static Field field(Class<?> type, String name) {
        try {
            Field field = type.getDeclaredField(name);
            field.setAccessible(true);
            return field;
        } catch (NoSuchFieldException error) {
            String member = type.getName() + "." + name;
            throw new IllegalStateException("this ImageJ has no " + member + ", please report it", error);
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

    /** Tells whether the method that asks was called by one of a class. */
    private static boolean calledBy(String name) {
        for (StackTraceElement frame : new Throwable().getStackTrace()) {
            String type = frame.getClassName();
            if (!type.startsWith("fijibridge.") && !RUNTIME.matcher(type).matches()) return type.equals(name);
        }
        return false;
    }

    /**
     * Ends the SciJava module of a script. SciJava catches and logs what a script throws; but it asks a ScriptException
     * for its cause there, and what is thrown by that leaves the module.
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

    /** Throws a checked exception that no signature declares. */
    @SuppressWarnings("unchecked")
    private static <T extends Throwable> void sneak(Throwable error) throws T {
        throw (T) error;
    }

    /** The error of a module. It is no RuntimeException, which SciJava would wrap into one that does not say why. */
    static final class Refusal extends Exception {
        private static final long serialVersionUID = 1;
        private final transient Thread caller;

        /**
         * @param caller thread of a script that called by IJ.run; null for code that waits for the module itself
         */
        Refusal(String message, Thread caller) {
            super(message, null, false, false);
            this.caller = caller;
        }

        /** Returns the text; in the thread of the script, which wraps this, throws an exception that passes ImageJ. */
        @Override
        public String toString() {
            if (caller != null && Thread.currentThread() == caller) throw new CommandEnd(getMessage());
            return getMessage();
        }
    }

    /** Reaches a script that called IJ.run: ImageJ's Executer catches it, and asks for its message. */
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
            // what IJ.run does at its end, which is not reached
            Macro.setOptions(null);
            set(IJ.class, "macroRunning", null, false);
            ImagePlus own = WindowManager.getTempCurrentImage();
            if (own != null && WindowManager.getImage(own.getID()) == null) WindowManager.setTempCurrentImage(null);
            throw new RuntimeException(text);
        }
    }
}
