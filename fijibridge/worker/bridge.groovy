/*
 * Loads the Java side of FijiBridge into a Fiji that Python did not start. The scripts in its menu evaluate this file
 * from the environment that they were installed from, with the path of its Python, and call what it returns.
 *
 * Python compiles the classes of fijibridge/java once (fijibridge/java/compiler.py); fijibridge.foreign.Bridge does the rest.
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

/** The Python that started this Fiji, if it has our package in the version of the script: it does the work then. */
class Here {
    /** What scyjava's runner of scripts reads. */
    static class Request {
        public final String script = "__import__('fijibridge.fiji.session.python_mode', fromlist=['perform_here']).perform_here(asked)"
        public final Map<String, Object> vars
        public final ScriptContext scriptContext = new SimpleScriptContext()

        Request(Map<String, Object> vars) {
            this.vars = vars
            scriptContext.setErrorWriter(new StringWriter())  // a Python without our package is no error
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

    /** Returns the answer of fijibridge.fiji.session.python_mode.perform_here: done, error or cancelled; null if there is none. */
    Map ask(Map request) {
        Object said = runner.apply(new Request([asked: JsonOutput.toJson(request)]))
        return said == null ? null : (Map) new JsonSlurper().parseText(said.toString())
    }
}

/** Hands the calls of scripts to the Java side, which is loaded by the first one, and again after an update. */
class Loader {
    private static final String MODULE = 'org.scijava.script.ScriptModule'
    private static final String INSTALL = "install fijibridge again, and run 'fijibridge install-scripts PATH_TO_FIJI'"
    private static final Map<String, String> NEEDED = [
        'ij/gui/Roi.class': 'ImageJ', 'org/scijava/script/ScriptModule.class': 'SciJava',
        'org/apposed/appose/Service.class': 'Appose (Help > Update... brings it to a Fiji of 2025 or later; else put ' +
            'org.apposed:appose of Maven Central into the folder jars)',
    ]

    final String python
    /** Time of the last change of this file, by which a script sees that it was updated while Fiji runs. */
    final long changed
    private Object bridge

    Loader(String python, long changed) {
        this.python = python
        this.changed = changed
    }

    /**
     * Calls a verb, asks for its parameters where a person does, and ends who called if it fails.
     *
     * @param verb its name, its command, and what its dialog shows
     * @param version of fijibridge that made the script
     * @param variables of the script, among which SciJava puts its module
     */
    void call(Map verb, String version, Binding variables) {
        serve(verb, version, variables.hasVariable(MODULE) ? variables.getVariable(MODULE) : null, [:])
    }

    /** As the scripts of the first releases call a verb, with the values of their parameters. */
    void perform(String verb, String version, List<String> images, List<String> cells, Map<String, Object> values) {
        List parameters = values.keySet().collect { [name: it, kind: it in images ? 'image' : it in cells ? 'cells' : 'text'] }
        Map described = [name: verb, command: 'FijiBridge', summary: '', help: '', long: false, parameters: parameters]
        serve(described, version, null, values.findAll { it.value != null && it.value != '' })
    }

    /** Ends the worker; its work is cancelled, a training saved. */
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

    /** Returns the Java bridge, one for all scripts. */
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
        if (done?.classes == null) throw new IllegalStateException(done?.error?.toString() ?: 'Python gave no Java classes')
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

    /** Has Python compile the classes, unless they are in its cache. */
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

    /** Ends who called, without the Java side: a macro, a script, a module; tells a person. */
    static void refuse(String message) {
        Interpreter macro = Macro.getOptions() == null ? null : Interpreter.getInstance()
        if (macro != null) Thread.start { try { macro.abort(message) } catch (RuntimeException ended) { } }.join()
        else IJ.error('FijiBridge', message)
        Macro.abort()
        // SciJava only logs what a script throws; but it asks such an exception for its cause
        throw new ScriptException(message) {
            synchronized Throwable getCause() { throw new Exception(getMessage()) }
        }
    }
}

// one loader for all scripts, in place of that of an earlier version
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
