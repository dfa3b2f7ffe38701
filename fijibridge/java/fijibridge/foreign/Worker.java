package fijibridge.foreign;

import fijibridge.Cancelled;
import fijibridge.UserError;
import ij.IJ;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apposed.appose.Service;

/** The Python process that runs the verbs for this Fiji, at the other end of a pipe: fijibridge/worker/process.py. */
final class Worker {
    private static final int LOG_LINES = 200;

    private final Service service;
    /** Version of fijibridge in the process. */
    final String version;

    Worker(String python) throws InterruptedException {
        IJ.showStatus("FijiBridge: starting Python ...");
        File folder = new File(System.getProperty("user.dir"));
        service = new Service(folder, python, "-P", "-m", "fijibridge.worker.process");
        IOException[] failed = new IOException[1];
        // a daemon thread, so that the threads that Appose creates in it are daemons, too, and do not keep Java running
        Thread starting = new Thread(() -> {
            try {
                service.start();
            } catch (IOException error) {
                failed[0] = error;
            }
        }, "FijiBridge-Start");
        starting.setDaemon(true);
        starting.start();
        starting.join();
        if (failed[0] != null)
            throw new UserError("Python (" + python + ") could not be started: " + failed[0].getMessage());
        version = (String) outputs(task(":hello", new HashMap<>())).get("version");
    }

    boolean isAlive() {
        return service.isAlive();
    }

    /** Ends the worker. Its running calls are cancelled, and a running training is saved. */
    void close() {
        if (service.isAlive()) service.close();
    }

    Service.Task task(String name, Map<String, Object> inputs) {
        try {
            return service.task(name, inputs);
        } catch (IOException error) {
            throw new WorkerGone("the Python process of FijiBridge cannot be reached: " + error.getMessage());
        }
    }

    /** Frees the results of a task. */
    void release(Service.Task task) {
        if (!service.isAlive()) return;
        Map<String, Object> given = new HashMap<>();
        given.put("task", task.uuid);
        Map<String, Object> inputs = new HashMap<>();
        inputs.put("given", given);
        task(":release", inputs).start();
    }

    /** Runs a task, shows its progress, cancels it if the user presses Escape, and returns its outputs. */
    Map<String, Object> outputs(Service.Task task) throws InterruptedException {
        CountDownLatch done = new CountDownLatch(1);
        AtomicBoolean began = new AtomicBoolean();
        int lines = service.errorLines().size();
        task.listen(event -> {
            if (event.responseType == Service.ResponseType.LAUNCH) began.set(true);
            if (event.message != null && !event.message.isEmpty()) IJ.showStatus("FijiBridge: " + event.message);
            if (event.maximum > 0) IJ.showProgress((int) event.current, (int) event.maximum);
            if (task.status.isFinished()) done.countDown();
        });
        task.start();
        boolean cancelled = await(task, done);
        String status = done.getCount() > 0 ? "CRASHED" : task.status.name();
        if (status.equals("COMPLETE")) return task.outputs;
        if (status.equals("CANCELED")) throw new Cancelled();
        if (status.equals("CRASHED")) {
            log(lines);
            if (cancelled && !began.get()) throw new Cancelled();
            String ended = "the Python process of FijiBridge ended while it worked (its last output is in the log). "
                + "The next call starts a new one";
            throw began.get() ? new UserError(ended) : new WorkerGone(ended);
        }
        if (task.error != null && task.error.endsWith("is in the log)")) {
            Thread.sleep(200);  // the traceback arrives through another pipe
            log(lines);
        }
        throw new UserError(task.error);
    }

    /** Waits until a task has ended, and returns true if it was cancelled. */
    private boolean await(Service.Task task, CountDownLatch done) {
        boolean cancelled = false, interrupted = false;
        while (true) {
            try {
                if (done.await(50, TimeUnit.MILLISECONDS)) break;
                // Appose never ends a task if the process ended before receiving the task
                if (!service.isAlive() && !done.await(2, TimeUnit.SECONDS)) break;
            } catch (InterruptedException error) {
                interrupted = true;
            }
            if (!cancelled && (interrupted || IJ.escapePressed())) {
                task.cancel();
                cancelled = true;
                IJ.showStatus("FijiBridge: cancelling ...");
            }
        }
        if (interrupted) Thread.currentThread().interrupt();
        return cancelled;
    }

    private void log(int from) {
        List<String> said = new ArrayList<>(service.errorLines());
        int first = Math.min(said.size(), Math.max(from, said.size() - LOG_LINES));
        for (String line : said.subList(first, said.size())) IJ.log(line);
    }
}
