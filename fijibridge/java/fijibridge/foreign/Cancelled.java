package fijibridge.foreign;

/** A call that was cancelled: by Escape, or by a macro that ends. */
final class Cancelled extends RuntimeException {
    private static final long serialVersionUID = 1;

    Cancelled() {
        super("cancelled");
    }
}
