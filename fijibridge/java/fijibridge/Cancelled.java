package fijibridge;

/** A call was cancelled: by Escape, in a dialog, or by the end of the macro. */
public final class Cancelled extends RuntimeException {
    private static final long serialVersionUID = 1;

    public Cancelled() {
        super("cancelled");
    }
}
