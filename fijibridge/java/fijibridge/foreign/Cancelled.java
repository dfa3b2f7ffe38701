package fijibridge.foreign;

/** A call was cancelled, by Escape or by the end of the macro. */
final class Cancelled extends RuntimeException {
    private static final long serialVersionUID = 1;

    Cancelled() {
        super("cancelled");
    }
}
