package fijibridge.foreign;

import fijibridge.UserError;

/** A worker that ended before it began what it was asked for: another one may be asked. */
final class WorkerGone extends UserError {
    private static final long serialVersionUID = 1;

    WorkerGone(String message) {
        super(message);
    }
}
