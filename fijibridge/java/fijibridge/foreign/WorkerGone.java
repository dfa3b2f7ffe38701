package fijibridge.foreign;

import fijibridge.UserError;

/** A worker ended before it began a task, so the task may be sent to another worker. */
final class WorkerGone extends UserError {
    private static final long serialVersionUID = 1;

    WorkerGone(String message) {
        super(message);
    }
}
