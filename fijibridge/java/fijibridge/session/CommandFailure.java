package fijibridge.session;

/**
 * An error of a plugin that ends a script which called it by IJ.run.
 *
 * <p>ImageJ's Executer, through which IJ.run calls, catches everything that a plugin throws, and the script continues.
 * Its one sign, Macro.abort, is shared by all threads and gives no reason. This exception reaches the script because
 * the Executer asks the exception that it caught for its message, and is answered by another one.
 */
public final class CommandFailure extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final String text;

    public CommandFailure(String text) {
        this.text = text;
    }

    @Override
    public String getMessage() {
        throw new RuntimeException(text);
    }
}
