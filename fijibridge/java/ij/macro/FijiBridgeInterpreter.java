package ij.macro;

import ij.IJ;
import ij.Macro;
import java.util.Vector;

/**
 * An interpreter that survives an error in its macro.
 *
 * <p>After an error, ImageJ's own interpreter shows a modal dialog, which would block Python until it is closed.
 * Without windows, the interpreter also drops its list of all open images. With ignoreErrors, the macro would continue
 * after the error. If a macro needs an image and none is open, ImageJ's own interpreter aborts the macro, but continues
 * at the end of the text ("getTitle("). Without a main window, IJ.getImage then ends the process, and Python would wait
 * forever. With this class, a missing image is an error of the macro.
 */
public class FijiBridgeInterpreter extends Interpreter {
    /** Message of the error that ended the macro; null if there was none. */
    public String failure;
    private final Thread thread = Thread.currentThread();

    @Override
    public void run(Program program) {
        if (func == null) func = new FijiBridgeFunctions(this, program);
        super.run(program);
    }

    @Override
    void showError(String title, String message, String[] variables) {
        failure = message;
    }

    /** Ends this macro with an error; IJ.error calls this, also for an error in another thread. */
    @Override
    public void abort(String message) {
        if (Thread.currentThread() != thread) IJ.showMessage("ImageJ", message);
        else if (!IJ.redirectingErrorMessages()) fail(message);
        else {
            IJ.redirectErrorMessages(false);  // the macro asked to continue after the next error
            IJ.log("ImageJ: " + message);
        }
    }

    private void fail(String message) {
        failure = message;
        error(message);
        throw new RuntimeException(Macro.MACRO_CANCELED);
    }

    /** Ends a macro that any interpreter runs; shows the message as an error unless the message is empty. */
    public static void end(Interpreter macro, String message) {
        if (macro instanceof FijiBridgeInterpreter) {
            if (!message.isEmpty()) ((FijiBridgeInterpreter) macro).fail(message);
            ((FijiBridgeInterpreter) macro).failure = "cancelled";
        } else if (!message.isEmpty()) macro.abort(message);
        macro.ignoreErrors = true;
        macro.done = true;
    }

    /** Returns the two lists of open images that the interpreter keeps if there are no windows. */
    @SuppressWarnings("rawtypes")
    public static Object[] keepImages() {
        batchMode = true;
        if (imageTable == null) imageTable = new Vector();
        if (imageActivations == null) imageActivations = new Vector();
        return new Object[] {imageTable, imageActivations};
    }

    /** Restores these lists, including images added since. */
    @SuppressWarnings("rawtypes")
    public static void restoreImages(Object[] kept) {
        batchMode = true;
        Vector images = (Vector) kept[0], activations = (Vector) kept[1];
        if (imageTable != images && imageTable != null)
            for (Object image : imageTable) if (!images.contains(image)) images.add(image);
        if (imageActivations != activations && imageActivations != null)
            for (Object image : imageActivations) {
                activations.remove(image);
                activations.add(image);
            }
        imageTable = images;
        imageActivations = activations;
    }
}
