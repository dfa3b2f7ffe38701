/*
 * A Fiji that Python did not start, for tests: ImageJ as Fiji patches it, SciJava and Groovy in a JVM of their own.
 *
 * Reads lines of JSON, {"code": Groovy, "values": bindings}, runs the code, and answers each with what it returned.
 * Code has `context` (SciJava's), printed(), what was printed since, and what fiji.groovy beside this offers.
 */
import groovy.json.JsonGenerator
import groovy.json.JsonSlurper

// before any class of ImageJ is loaded, as Fiji does it: else nothing can be shown without a display
net.imagej.patcher.LegacyInjector.preinit()

def answers = System.out
def written = new ByteArrayOutputStream()
System.out = new PrintStream(written, true, 'UTF-8')  // where ImageJ's log goes without windows
def printed = {
    def text = written.toString('UTF-8')
    written.reset()
    text
}
def beside = new File(getClass().protectionDomain.codeSource.location.toURI()).parentFile
def scripts = new GroovyShell(this.class.classLoader).evaluate(new File(beside, 'fiji.groovy'))
def json = new JsonGenerator.Options().addConverter(Double) { number -> number.isNaN() ? 'NaN' : new BigDecimal(number) }.build()
System.in.eachLine('US-ASCII') { line ->
    def asked = new JsonSlurper().parseText(line)
    def answer
    try {
        def shell = new GroovyShell(this.class.classLoader, new Binding(asked.values + [context: scripts.context, menu: scripts.&menu,
            info: scripts.&info, script: scripts.&script, speak: scripts.&speak, watching: scripts.&watching, dialogs: scripts.&dialogs, printed: printed]))
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
