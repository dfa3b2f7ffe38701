package fijibridge.foreign;

import fijibridge.UserError;
import fijibridge.foreign.Verb.Parameter;
import ij.IJ;
import ij.ImagePlus;
import ij.Prefs;
import ij.WindowManager;
import ij.plugin.frame.Recorder;
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

/** Calls of verbs from the menu, macros and scripts of this Fiji, all answered by one Python process. */
public final class Bridge {
    private static final List<String> TRUE = Arrays.asList("true", "1", "yes");

    /** One call at a time looks for the place of a result, and shows it. */
    private static final Object SHOWING = new Object();

    private final String python;
    private final AtomicInteger working = new AtomicInteger();
    private Worker worker;

    /**
     * @param python path of the Python that works
     */
    public Bridge(String python) {
        this.python = python;
    }

    /**
     * Calls a verb, asks for its parameters where a person does, and ends the caller if it fails.
     *
     * @param described the verb as its script describes it
     * @param version of fijibridge that made the script
     * @param module SciJava's of the script; null if it is not known
     * @param values given beside those of the module
     * @param here answers requests in the Python that started this Fiji; null if none did
     */
    public void call(Map<String, Object> described, String version, Object module, Map<String, Object> values,
            Function<Map<String, Object>, Map<String, Object>> here) throws Exception {
        Verb verb = new Verb(described);
        new Call(verb, version, new Caller((ScriptModule) module, verb.names(), values), here).serve();
    }

    /** Returns a function that throws the errors which the Python of this Fiji answers with. */
    public Function<Map<String, Object>, Map<String, Object>> asking(
            Function<Map<String, Object>, Map<String, Object>> here) {
        return request -> {
            Map<String, Object> answer = here.apply(request);
            if (answer.containsKey("cancelled")) throw new Cancelled();
            if (answer.containsKey("error")) throw new UserError((String) answer.get("error"));
            return map(answer.get("done"));
        };
    }

    /** Ends the worker; its work is cancelled, a training saved. */
    public synchronized void close() {
        if (worker != null) worker.close();
        worker = null;
    }

    /** Returns the worker, a new one if there is none or if the package was updated while this Fiji ran. */
    private synchronized Worker worker(String version) throws InterruptedException {
        boolean alive = worker != null && worker.isAlive();
        if (alive && !worker.version.equals(version) && working.get() == 1) {
            worker.close();
            alive = false;
        }
        if (!alive) worker = new Worker(python);
        if (!worker.version.equals(version))
            throw new UserError("this script is of fijibridge " + version + ", and its Python environment has "
                + worker.version + ". Run '" + python + " -m fijibridge install-scripts PATH_TO_FIJI' again");
        return worker;
    }

    private synchronized void forget(Worker gone) {
        if (worker == gone) worker = null;
    }

    /** Work for a worker, done again by a new one if the first was killed a moment ago and still looked alive. */
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
                if (caller.kind != Caller.Kind.MACRO) IJ.resetEscape();  // a macro does it itself
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
                caller.end(verb.command, verb.command + ": " + message + " (all of it is in the log)", false);
            } finally {
                leaveToUs();
                caller.leave();
                working.decrementAndGet();
                IJ.showProgress(1.0);
            }
        }

        private String message(UserError error) {
            String text = error.getMessage();
            return text.startsWith(verb.command) ? text : verb.command + ": " + text;
        }

        /** Lets a person fill the dialog until its values can be used. */
        private void askPerson() throws Exception {
            Map<String, String> texts = Dialog.offered(verb, caller.image());
            while (true) {
                texts = Dialog.ask(verb, texts);
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

        /** Returns the values that were given, by name, as Python reads them. */
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

        /** Asks Python to read or write options of this verb. */
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
            Map<String, Object> named = new LinkedHashMap<>(given);  // images that SciJava gave as such by their ids
            caller.inputs.forEach((name, value) -> {
                if (value instanceof ImagePlus && given.containsKey(name)) named.put(name, Inputs.plain(value));
            });
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
                worker(version);  // before pixels are copied for it
                Inputs taken = new Inputs(verb, given, caller);
                Map<String, Object> options = new LinkedHashMap<>(given), inputs = new HashMap<>();
                for (Parameter parameter : verb.parameters) if (parameter.isInput()) options.remove(parameter.name);
                inputs.put("images", taken.described(sent));
                inputs.put("given", options);
                boolean overwrite = verb.parameter("overwrite") == null
                    && TRUE.contains(String.valueOf(given.get("overwrite")).toLowerCase());
                try (Places places = new Places(taken.open.values(), overwrite, caller)) {
                    ask(version, worker -> {
                        receive(worker, worker.task(verb.name, inputs), taken, given, places);
                        return null;
                    });
                }
            }
            if (verb.name.equals("train_u_net"))
                for (String next : new String[] {"predict", "predict_folder"})
                    Prefs.set("fijibridge." + next + ".model", given.get("out").toString());
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
                if (places.overwrite) recorded.put("overwrite", "true");
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

        /** Writes the call into the recorder, if it is open, as Python reads it. */
        private void record(Map<String, Object> given) throws Exception {
            if (!IJ.recording() || (caller.kind != Caller.Kind.PERSON && !Recorder.recordInMacros)) return;
            boolean script = Recorder.scriptMode();
            String line;
            try {
                Map<String, Object> request = new HashMap<>();
                request.put("given", given);
                String options = (String) answer("write", request).get("options");
                String call = "\"" + verb.command + "\"";
                if (!options.isEmpty() || script) call += ", \"" + Recorder.fixString(options) + "\"";
                line = (script ? "IJ.run(" : "run(") + call + ");\n";
            } catch (UserError error) {
                line = "// " + verb.command + ": " + error.getMessage() + "\n";
            }
            Recorder.recordString(line);
        }

        /** Keeps the recorder from writing the command at its end by itself, without options. */
        private void leaveToUs() {
            if (IJ.recording() && verb.command.equals(Recorder.getCommand())) Recorder.disableCommandRecording();
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return value == null ? new LinkedHashMap<>() : (Map<String, Object>) value;
    }
}
