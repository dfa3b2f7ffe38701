/*
 * A Fiji that Python did not start, for tests: ImageJ as Fiji patches it, SciJava and Groovy in a JVM of their own.
 *
 * Reads lines of JSON, {"code": Groovy, "values": bindings}, runs the code, and answers each with what it returned.
 * Code has `context` (SciJava's), printed(), what was printed since, menu(folder), and parameters(path) and script(path, values), which do what Fiji does with a script.
 */
import groovy.json.JsonGenerator
import groovy.json.JsonSlurper
import org.scijava.Context
import org.scijava.script.AbstractScriptLanguage
import org.scijava.script.ScriptFinder
import org.scijava.script.ScriptInfo
import org.scijava.script.ScriptService

import javax.script.ScriptEngine

// before any class of ImageJ is loaded, as Fiji does it: else nothing can be shown without a display
net.imagej.patcher.LegacyInjector.preinit()

/** As far as SciJava must know it to find scripts; Fiji has its own. */
class GroovyScripts extends AbstractScriptLanguage {
    @Override
    List<String> getExtensions() { ['groovy'] }

    @Override
    ScriptEngine getScriptEngine() { throw new UnsupportedOperationException() }
}

class Scripts {
    final Context context = new Context(ScriptService)

    Scripts() {
        ScriptService service = context.service(ScriptService)
        service.addAlias(Class.forName('ij.ImagePlus'))
        service.getIndex().add(new GroovyScripts(), true)
    }

    /** The places in the menu of the scripts in Fiji's folder of them. */
    List<String> menu(String folder) {
        List<ScriptInfo> found = []
        context.service(ScriptService).addScriptDirectory(new File(folder))
        new ScriptFinder(context, null).findScripts(found)
        return found.collect { it.menuPath.getMenuString() }
    }

    ScriptInfo info(String path) { new ScriptInfo(context, new File(path).toURI().toURL(), path) }

    /** What SciJava makes of the #@ lines of a script. */
    Map parameters(String path) {
        info(path).inputs().collectEntries { item ->
            [item.name, [type: item.type.simpleName, label: item.label, description: item.description, required: item.required,
                minimum: item.minimumValue, maximum: item.maximumValue, choices: item.choices, value: item.defaultValue,
                style: item.widgetStyle]]
        }
    }

    /** Runs a script as SciJava's ScriptModule does: every parameter is a variable, null where nothing is given. */
    Object script(String path, Map values) {
        ScriptInfo info = info(path)
        Map all = info.inputs().collectEntries { [it.name, it.defaultValue] } + values
        def unknown = values.keySet() - info.inputs()*.name
        assert !unknown
        new GroovyShell(getClass().classLoader, new Binding(all)).evaluate(info.processedScript)
    }
}

def answers = System.out
def written = new ByteArrayOutputStream()
System.out = new PrintStream(written, true, 'UTF-8')  // where ImageJ's log goes without windows
def printed = {
    def text = written.toString('UTF-8')
    written.reset()
    text
}
def scripts = new Scripts()
def json = new JsonGenerator.Options().addConverter(Double) { number -> number.isNaN() ? 'NaN' : new BigDecimal(number) }.build()
System.in.eachLine('US-ASCII') { line ->
    def asked = new JsonSlurper().parseText(line)
    def answer
    try {
        def shell = new GroovyShell(this.class.classLoader, new Binding(asked.values + [context: scripts.context, menu: scripts.&menu,
            parameters: scripts.&parameters, script: scripts.&script, printed: printed]))
        answer = [value: shell.evaluate('import ij.*\nimport ij.gui.*\nimport ij.measure.*\nimport ij.process.*\n' + asked.code)]
    } catch (Throwable error) {
        def trace = new StringWriter()
        error.printStackTrace(new PrintWriter(trace))
        answer = [error: error.message ?: error.toString(), trace: trace.toString()]
    }
    answers.println(json.toJson(answer))
    answers.flush()
}
System.exit(0)
