// Say which versions run, on which device.
import ij.IJ
import ij.Macro
import ij.macro.Interpreter

import javax.script.ScriptException

// Made by fijibridge from its verb about: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'about', command: 'FijiBridge About', long: false,
    summary: 'Say which versions run, on which device.',
    help: '<html><h2>About</h2><p>Say which versions run, on which device.</p><table cellpadding=3 width=640></table><p>In a macro: <tt>run(&quot;FijiBridge About&quot;, &quot;&quot;);</tt></p>',
    parameters: [],
]
if (!bridge.isFile()) {
    def message = python
        ? "the Python environment of FijiBridge is gone, there is no ${bridge}: install fijibridge again, and run "
        : 'this script was copied, but it must be installed, to know its Python: run '
    message += "'fijibridge install-scripts PATH_TO_FIJI'"
    def macro = Macro.getOptions() == null ? null : Interpreter.getInstance()
    if (macro != null) Thread.start { try { macro.abort(message) } catch (RuntimeException ended) { } }.join()
    else IJ.error('FijiBridge', message)
    Macro.abort()
    // SciJava only logs what a script throws; but it asks such an exception for its cause
    throw new ScriptException(message) {
        synchronized Throwable getCause() { throw new Exception(getMessage()) }
    }
}
// one worker for all scripts; a bridge that was updated while Fiji runs is loaded anew
def key = 'fijibridge ' + bridge.path
synchronized (IJ) {
    def loaded = IJ.getProperty(key)
    if (loaded?.changed != bridge.lastModified()) {
        loaded?.bridge?.close()
        def shell = new GroovyShell(this.class.classLoader, new Binding(python: python))
        IJ.setProperty(key, [changed: bridge.lastModified(), bridge: shell.evaluate(bridge)])
    }
}
IJ.getProperty(key).bridge.call(verb, version, binding)
