package ij.macro;

import ij.Macro;
import java.util.Vector;

/**
 * An interpreter that survives an error of its macro.
 *
 * <p>ImageJ's own shows an error in a modal dialog, which would block Python until it is closed. Without windows, where
 * images live in a list of the interpreter's, it drops all open images. With ignoreErrors the macro would continue
 * after the error. Where a macro needs an image and none is open, ImageJ's own aborts it, and continues if the end of
 * its text was reached ("getTitle("); without a main window IJ.getImage then ends the process, for which Python would
 * wait for ever. Here that is an error of the macro.
 */
public class FijiBridgeInterpreter extends Interpreter {
    /** Message of the error that ended the macro; null if none did. */
    public String failure;

    @Override
    void showError(String title, String message, String[] variables) {
        failure = message;
    }

    @Override
    public void abort(String message) {
        failure = message;
        error(message);
        throw new RuntimeException(Macro.MACRO_CANCELED);
    }

    /** Ends a macro, whichever interpreter runs it: with a message as an error, with an empty one quietly. */
    public static void end(Interpreter macro, String message) {
        if (!message.isEmpty()) macro.abort(message);
        if (macro instanceof FijiBridgeInterpreter) ((FijiBridgeInterpreter) macro).failure = "cancelled";
        macro.ignoreErrors = true;
        macro.done = true;
    }

    /** Returns the two lists in which the interpreter has the open images without windows. */
    @SuppressWarnings("rawtypes")
    public static Object[] keepImages() {
        batchMode = true;
        if (imageTable == null) imageTable = new Vector();
        if (imageActivations == null) imageActivations = new Vector();
        return new Object[] {imageTable, imageActivations};
    }

    /** Puts these lists back, with what was added since. */
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
