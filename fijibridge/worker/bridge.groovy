/*
 * Loads the Java side of FijiBridge into a Fiji that Python did not start. The scripts in its menu evaluate this file
 * in the Python environment from which they were installed, with the path of its Python, and call the returned loader.
 *
 * Python compiles the classes of fijibridge/java once (fijibridge/java/compiler.py); fijibridge.foreign.Bridge does the
 * rest.
 */
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import ij.IJ
import ij.ImageJ
import ij.Macro
import ij.macro.Interpreter

import java.util.function.Function
import javax.script.ScriptContext
import javax.script.ScriptException
import javax.script.SimpleScriptContext

/** The Python process that started this Fiji. It runs the verbs if it has fijibridge in the version of the script. */
class Here {
    /** Request to scyjava's script runner, which reads these fields. */
    static class Request {
        public final String script = "__import__('fijibridge.fiji.session.python_mode', fromlist=['perform_here']).perform_here(asked)"
        public final Map<String, Object> vars
        public final ScriptContext scriptContext = new SimpleScriptContext()

        Request(Map<String, Object> vars) {
            this.vars = vars
            scriptContext.setErrorWriter(new StringWriter())  // hide the error if Python does not have fijibridge
        }
    }

    private final Function runner

    private Here(Function runner) { this.runner = runner }

    static Here find(Object module, String version) {
        def objects = module?.context()?.getService('org.scijava.object.ObjectService')
        Function runner = objects?.getObjects(Function)?.find { objects.getName(it) == 'PythonScriptRunner' }
        Here here = runner == null ? null : new Here(runner)
        return here?.ask([what: 'hello'])?.done?.version == version ? here : null
    }

    /** Returns the answer of perform_here in fijibridge.fiji.session.python_mode: done, error, cancelled; or null. */
    Map ask(Map request) {
        Object said = runner.apply(new Request([asked: JsonOutput.toJson(request)]))
        return said == null ? null : (Map) new JsonSlurper().parseText(said.toString())
    }
}

/** Passes calls of scripts to the Java side, which is loaded by the first call, and again after an update. */
class Loader {
    private static final String MODULE = 'org.scijava.script.ScriptModule'
    private static final String INSTALL = "install fijibridge again, and run 'fijibridge install-scripts PATH_TO_FIJI'"
    private static final Map<String, String> NEEDED = [
        'ij/gui/Roi.class': 'ImageJ', 'org/scijava/script/ScriptModule.class': 'SciJava',
        'org/apposed/appose/Service.class': 'Appose (use Help > Update... in a Fiji of 2025 or later, or put ' +
            'org.apposed:appose from Maven Central into the folder jars)',
    ]

    final String python
    /** Modification time of this file, by which a script detects an update while Fiji is running. */
    final long changed
    private Object bridge

    Loader(String python, long changed) {
        this.python = python
        this.changed = changed
    }

    /**
     * Calls a verb, shows its dialog if the user called it from the menu, and ends the caller if the verb fails.
     *
     * @param verb name, command and contents of the dialog of the verb
     * @param version version of fijibridge that generated the script
     * @param variables variables of the script, one of which is SciJava's module
     */
    void call(Map verb, String version, Binding variables) {
        serve(verb, version, variables.hasVariable(MODULE) ? variables.getVariable(MODULE) : null, [:])
    }

    /** Calls a verb with the values of its parameters. Used by scripts of the first releases. */
    void perform(String verb, String version, List<String> images, List<String> cells, Map<String, Object> values) {
        List parameters = values.keySet().collect { [name: it, kind: it in images ? 'image' : it in cells ? 'cells' : 'text'] }
        Map described = [name: verb, command: 'FijiBridge', summary: '', help: '', long: false, parameters: parameters]
        serve(described, version, null, values.findAll { it.value != null && it.value != '' })
    }

    /** Ends the worker: its running calls are cancelled, and a training is saved. */
    synchronized void close() {
        bridge?.close()
        bridge = null
    }

    private void serve(Map verb, String version, Object module, Map values) {
        Here here = Here.find(module, version)
        Object java
        try {
            java = load(here)
        } catch (IllegalStateException problem) {
            refuse("FijiBridge: ${problem.message}")
        }
        java.call(verb, version, module, values, here == null ? null : java.asking(here.&ask as Function))
    }

    /** Returns the Java bridge, which all scripts share. */
    private synchronized Object load(Here here) {
        if (bridge == null) {
            def loader = new URLClassLoader([classes(here).toURI().toURL()] as URL[], getClass().classLoader)
            bridge = loader.loadClass('fijibridge.foreign.Bridge').newInstance(python)
        }
        return bridge
    }

    /** Returns the folder of the compiled classes, which Python keeps in its cache. */
    private File classes(Here here) {
        List<String> target = ['foreign', System.getProperty('java.home'), System.getProperty('java.version'), ImageJ.VERSION, *jars()]
        Map answer = here != null ? here.ask([what: 'classes', target: target]) : compile(target)
        Map done = (Map) (answer?.done ?: answer)
        if (done?.classes == null)
            throw new IllegalStateException(done?.error?.toString() ?: 'Python returned no Java classes')
        File folder = new File(done.classes.toString())
        if (done.temporary) {
            folder.deleteOnExit()
            folder.eachFileRecurse { it.deleteOnExit() }
        }
        return folder
    }

    private List<String> jars() {
        return NEEDED.collect { name, owner ->
            URL place = getClass().classLoader.getResource(name)
            if (place == null) throw new IllegalStateException("this Fiji lacks ${owner}")
            def connection = place.openConnection()
            connection instanceof JarURLConnection ? new File(connection.jarFileURL.toURI()).path
                : new File(place.toURI()).path[0..<-name.length()]
        }
    }

    /** Lets Python compile the classes, unless they are in its cache. */
    private Map compile(List<String> target) {
        if (!new File(python).exists())
            throw new IllegalStateException("the Python environment of FijiBridge is gone: there is no ${python}. ${INSTALL.capitalize()}")
        IJ.showStatus('FijiBridge: loading ...')
        StringBuilder said = new StringBuilder(), failed = new StringBuilder()
        try {
            Process process = [python, '-P', '-m', 'fijibridge.java.compiler', *target].execute()
            process.waitForProcessOutput(said, failed)
            return (Map) new JsonSlurper().parseText(said.readLines().last())
        } catch (IOException | NoSuchElementException | groovy.json.JsonException error) {
            String last = failed.readLines().findAll().with { it ? it.last() : error.message }
            throw new IllegalStateException("${python} cannot run fijibridge: ${last}. ${INSTALL.capitalize()}")
        }
    }

    /** Ends the calling macro, script or module without the Java side, or shows the message to the user. */
    static void refuse(String message) {
        Interpreter macro = Macro.getOptions() == null ? null : Interpreter.getInstance()
        if (macro != null) Thread.start { try { macro.abort(message) } catch (RuntimeException ended) { } }.join()
        else IJ.error('FijiBridge', message)
        Macro.abort()
        // SciJava only logs exceptions of a script, but what getCause() of a ScriptException throws reaches the caller
        throw new ScriptException(message) {
            synchronized Throwable getCause() { throw new Exception(getMessage()) }
        }
    }
}

// one loader for all scripts; it replaces the loader of an earlier version
def file = new File(getClass().protectionDomain.codeSource.location.toURI()), key = 'fijibridge ' + file.path
synchronized (IJ) {
    def loader = IJ.getProperty(key)
    if (loader?.changed != file.lastModified()) {
        loader?.close()
        loader = new Loader(python, file.lastModified())
        IJ.setProperty(key, loader)
    }
    loader
}
