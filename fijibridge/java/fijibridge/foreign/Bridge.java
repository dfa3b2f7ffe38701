package fijibridge.foreign;

import fijibridge.Cancelled;
import fijibridge.UserError;
import fijibridge.verbs.Dialog;
import fijibridge.verbs.MacroRecorder;
import fijibridge.verbs.Places;
import fijibridge.verbs.Verb;
import fijibridge.verbs.Verb.Parameter;
import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.apposed.appose.Service;
import org.scijava.script.ScriptModule;

/** Calls of verbs from the menu, macros and scripts of this Fiji, all executed by one Python process. */
public final class Bridge {
    private static final List<String> TRUE = Arrays.asList("true", "1", "yes");

    /** Lock with which only one call at a time chooses the window of a result, and shows it. */
    private static final Object SHOWING = new Object();

    private final String python;
    private final AtomicInteger working = new AtomicInteger();
    private Worker worker;

    /**
     * @param python path of the Python that runs the verbs
     */
    public Bridge(String python) {
        this.python = python;
    }

    /**
     * Calls a verb, shows its dialog if the user called it from the menu, and ends the caller if the verb fails.
     *
     * @param described the verb as described by its script
     * @param version version of fijibridge that generated the script
     * @param module SciJava's module of the script; null if unknown
     * @param values values passed in addition to those of the module
     * @param here function that sends requests to the Python that started this Fiji; null if Python did not start it
     */
    public void call(Map<String, Object> described, String version, Object module, Map<String, Object> values,
            Function<Map<String, Object>, Map<String, Object>> here) throws Exception {
        Verb verb = new Verb(described);
        new Call(verb, version, new Caller((ScriptModule) module, verb.names(), values), here).serve();
    }

    /** Returns a function that sends requests to the Python of this Fiji, and throws the errors that it returns. */
    public Function<Map<String, Object>, Map<String, Object>> asking(
            Function<Map<String, Object>, Map<String, Object>> here) {
        return request -> {
            Map<String, Object> answer = here.apply(request);
            if (answer.containsKey("cancelled")) throw new Cancelled();
            if (answer.containsKey("error")) throw new UserError((String) answer.get("error"));
            return map(answer.get("done"));
        };
    }

    /** Ends the worker: its running calls are cancelled, and a training is saved. */
    public synchronized void close() {
        if (worker != null) worker.close();
        worker = null;
    }

    /** Returns the worker; a new one if there is none, or fijibridge was updated while this Fiji was running. */
    private synchronized Worker worker(String version) throws InterruptedException {
        boolean alive = worker != null && worker.isAlive();
        if (alive && !worker.version.equals(version) && working.get() == 1) {
            worker.close();
            alive = false;
        }
        if (!alive) worker = new Worker(python);
        if (!worker.version.equals(version))
            throw new UserError("this script is from fijibridge " + version + ", but its Python environment has "
                + worker.version + ". Run '" + python + " -m fijibridge install-scripts PATH_TO_FIJI' again");
        return worker;
    }

    private synchronized void forget(Worker gone) {
        if (worker == gone) worker = null;
    }

    /** Work for a worker, repeated with a new worker if the first was killed just before and still seemed alive. */
    private interface Work<T> {
        T by(Worker worker) throws Exception;
    }

    private <T> T ask(String version, Work<T> work) throws Exception {
        Worker first = worker(version);
        try {
            return work.by(first);
        } catch (WorkerGone gone) {
            forget(first);
            return work.by(worker(version));
        }
    }

    /** One call of a verb. */
    private final class Call {
        private final Verb verb;
        private final String version;
        private final Caller caller;
        private final Function<Map<String, Object>, Map<String, Object>> here;

        Call(Verb verb, String version, Caller caller, Function<Map<String, Object>, Map<String, Object>> here) {
            this.verb = verb;
            this.version = version;
            this.caller = caller;
            this.here = here;
        }

        void serve() throws Exception {
            working.incrementAndGet();
            caller.enter();
            try {
                if (caller.kind != Caller.Kind.MACRO) IJ.resetEscape();  // a macro resets it at its start
                if (caller.asks() && !verb.parameters.isEmpty()) askPerson();
                else work(read());
            } catch (Cancelled cancelled) {
                IJ.showStatus("FijiBridge: " + cancelled.getMessage());
                caller.end(verb.command, cancelled.getMessage(), true);
            } catch (UserError error) {
                caller.end(verb.command, message(error), false);
            } catch (Exception error) {
                StringWriter trace = new StringWriter();
                error.printStackTrace(new PrintWriter(trace));
                IJ.log("FijiBridge: " + trace);
                String message = error.getClass().getSimpleName() + ": " + error.getMessage();
                caller.end(verb.command, verb.command + ": " + message + " (the stack trace is in the log)", false);
            } finally {
                MacroRecorder.stop(verb.command);
                caller.leave();
                working.decrementAndGet();
                IJ.showProgress(1.0);
            }
        }

        private String message(UserError error) {
            String text = error.getMessage();
            return text.startsWith(verb.command) ? text : verb.command + ": " + text;
        }

        /** Shows the dialog until its values are valid. */
        private void askPerson() throws Exception {
            Map<String, String> texts = Dialog.offered(verb, caller.image());
            while (true) {
                Map<String, String> offered = texts;
                texts = Caller.plainly(() -> Dialog.ask(verb, offered));
                if (texts == null) throw new Cancelled();
                boolean began = false;
                try {
                    Map<String, Object> request = new HashMap<>();
                    request.put("given", texts);
                    Map<String, Object> given = map(answer("read", request).get("given"));
                    new Inputs(verb, given, caller);
                    Dialog.remember(verb, texts);
                    IJ.resetEscape();
                    began = true;
                    work(given);
                    return;
                } catch (UserError error) {
                    if (began && verb.isLong) throw error;
                    Caller.show(verb.command, Dialog.wrapped(message(error)));
                }
            }
        }

        /** Returns the values passed, by name, as Python reads them. */
        private Map<String, Object> read() throws Exception {
            Map<String, Object> request = new HashMap<>();
            if (caller.options != null) {
                request.put("options", caller.options);
                request.put("variables", caller.variables());
            } else {
                Map<String, Object> given = new LinkedHashMap<>();
                caller.inputs.forEach((name, value) -> {
                    if (Inputs.plain(value) != null) given.put(name, Inputs.plain(value));
                });
                request.put("given", given);
            }
            return map(answer("read", request).get("given"));
        }

        /** Lets Python read or write the options of this verb. */
        private Map<String, Object> answer(String what, Map<String, Object> request) throws Exception {
            request.put("verb", verb.name);
            if (here != null) {
                request.put("what", what);
                return here.apply(request);
            }
            Map<String, Object> inputs = new HashMap<>();
            inputs.put("given", request);
            return ask(version, worker -> worker.outputs(worker.task(":" + what, inputs)));
        }

        private void work(Map<String, Object> given) throws Exception {
            if (here != null) workHere(given);
            else workInWorker(given);
        }

        private void workHere(Map<String, Object> given) throws Exception {
            ImagePlus before = WindowManager.getCurrentImage();
            Map<String, Object> named = new LinkedHashMap<>(given);  // with the ids of images passed as objects
            for (Parameter parameter : verb.parameters) {
                Object passed = parameter.valueIn(caller.inputs);
                if (passed instanceof ImagePlus) named.put(parameter.name, Inputs.plain(passed));
            }
            Map<String, Object> request = new HashMap<>();
            request.put("what", "perform");
            request.put("verb", verb.name);
            request.put("given", named);
            request.put("person", caller.kind == Caller.Kind.PERSON);
            Map<String, Object> recorded = new LinkedHashMap<>(given);
            recorded.putAll(map(here.apply(request).get("named")));
            record(recorded);
            ImagePlus after = WindowManager.getCurrentImage();
            if (after != before) caller.activate(after);
        }

        private void workInWorker(Map<String, Object> given) throws Exception {
            try (Blocks sent = new Blocks()) {
                worker(version);  // start it before pixels are copied for it
                Inputs taken = new Inputs(verb, given, caller);
                Map<String, Object> options = new LinkedHashMap<>(given), inputs = new HashMap<>();
                for (Parameter parameter : verb.parameters) if (parameter.isInput()) options.remove(parameter.name);
                inputs.put("images", taken.described(sent));
                inputs.put("given", options);
                boolean overwrite = !verb.ownsOverwrite()
                    && TRUE.contains(String.valueOf(given.get("overwrite")).toLowerCase());
                boolean person = caller.kind == Caller.Kind.PERSON && Caller.interactive();
                Function<String, Boolean> ask = title -> Caller.plainly(() -> Dialog.mayReplace(title));
                try (Places places = new Places(taken.open.values(), overwrite, person ? ask : null)) {
                    ask(version, worker -> {
                        receive(worker, worker.task(verb.name, inputs), taken, given, places);
                        return null;
                    });
                }
            }
        }

        private void receive(Worker worker, Service.Task task, Inputs taken, Map<String, Object> given, Places places)
                throws Exception {
            try (Blocks came = new Blocks()) {
                List<Map<String, Object>> results = new ArrayList<>();
                Object answered = came.attached(worker.outputs(task).get("results"));
                for (Object result : (List<?>) answered) results.add(map(result));
                for (Map<String, Object> result : results)
                    if (result.get("kind").equals("image")) places.find((String) result.get("name"));
                Map<String, Object> recorded = new LinkedHashMap<>(given);
                recorded.putAll(taken.names);
                if (places.replaces() && !verb.ownsOverwrite()) recorded.put("overwrite", "true");
                record(recorded);
                Results shown = new Results(taken.open, caller, places);
                synchronized (SHOWING) {
                    results.forEach(shown::show);
                }
            } finally {
                worker.release(task);
            }
        }

        // --- the recorder ---------------------------------------------------------------------------

        /** Records the call with its options, if ImageJ's recorder is open. */
        private void record(Map<String, Object> given) throws Exception {
            if (!MacroRecorder.isOnFor(caller.kind == Caller.Kind.PERSON)) return;
            try {
                Map<String, Object> request = new HashMap<>();
                request.put("given", given);
                MacroRecorder.record(verb.command, (String) answer("write", request).get("options"));
            } catch (UserError error) {
                MacroRecorder.recordComment(verb.command + ": " + error.getMessage());
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return value == null ? new LinkedHashMap<>() : (Map<String, Object>) value;
    }
}
