package fijibridge.session;

/**
 * The exception with which a plugin ends a script that called it through IJ.run.
 *
 * <p>ImageJ's Executer, which IJ.run uses, catches everything that a plugin throws, so the script would continue. The
 * only alternative, Macro.abort, affects all threads and states no reason. This exception reaches the script, because
 * the Executer calls getMessage of the exception that it caught, and getMessage throws a new exception.
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
