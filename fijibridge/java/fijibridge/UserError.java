package fijibridge;

/** An error that the user can fix; the message says how. */
public class UserError extends RuntimeException {
    private static final long serialVersionUID = 1;

    public UserError(String message) {
        super(message);
    }
}
