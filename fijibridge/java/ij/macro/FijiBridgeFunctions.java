package ij.macro;

import ij.IJ;
import ij.Macro;
import java.lang.reflect.Field;
import java.util.function.Supplier;

/**
 * The functions of a macro, whose errors end the macro.
 *
 * <p>Only for the command run does ImageJ itself end the macro if IJ.error is called. After an error of another function,
 * such as open, it shows a dialog, and the macro continues with whatever image is the active one.
 */
class FijiBridgeFunctions extends Functions {
    private static final Field CAUGHT_BY;

    static {
        try {
            CAUGHT_BY = IJ.class.getDeclaredField("macroInterpreter");  // IJ.error aborts this macro
            CAUGHT_BY.setAccessible(true);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    private final Interpreter interpreter;

    /** The type of the interpreter is not ours, because this class must be loaded before FijiBridgeInterpreter. */
    FijiBridgeFunctions(Interpreter interpreter, Program program) {
        super(interpreter, program);
        this.interpreter = interpreter;
    }

    @Override
    void doFunction(int type) {
        caught(() -> {
            super.doFunction(type);
            return null;
        });
    }

    @Override
    String getStringFunction(int type) {
        return caught(() -> super.getStringFunction(type));
    }

    @Override
    Variable[] getArrayFunction(int type) {
        return caught(() -> super.getArrayFunction(type));
    }

    @Override
    Variable getVariableFunction(int type) {
        return caught(() -> super.getVariableFunction(type));
    }

    private <T> T caught(Supplier<T> function) {
        try {
            CAUGHT_BY.set(null, interpreter);
            return function.get();
        } catch (IllegalAccessException error) {
            throw new IllegalStateException(error);
        } finally {
            release();
        }
    }

    private static void release() {
        try {
            CAUGHT_BY.set(null, null);
        } catch (IllegalAccessException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Ends the macro; a message is its error, which ImageJ would show in a dialog. */
    @Override
    void exit() {
        String message = null;
        if (interp.nextToken() == '(') {
            interp.getLeftParen();
            if (interp.nextToken() != ')') message = getString();
            interp.getRightParen();
        }
        interp.finishUp();
        if (message != null)
            ((FijiBridgeInterpreter) interpreter).failure = message.isEmpty() ? "the macro called exit(\"\")" : message;
        throw new RuntimeException(Macro.MACRO_CANCELED);
    }
}
