// End the running training after its current step; its model and record are saved.
// Made by fijibridge from its verb stop_training: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'stop_training', command: 'FijiBridge Stop Training', long: false,
    summary: 'End the running training after its current step; its model and record are saved.',
    help: '<html><h2>Stop Training</h2><p>End the running training after its current step; its model and record are saved.</p><table cellpadding=3 width=640></table><p>In a macro: <tt>run(&quot;FijiBridge Stop Training&quot;, &quot;&quot;);</tt></p>',
    parameters: [],
]
if (bridge.isFile()) {
    def loader = ij.IJ.getProperty('fijibridge ' + bridge.path)
    if (loader?.changed != bridge.lastModified())
        loader = new GroovyShell(this.class.classLoader, new Binding(python: python)).evaluate(bridge)
    return loader.call(verb, version, binding)
}
// without the bridge: end a macro, a script or SciJava's module by an error
def message = python ? "the Python environment of FijiBridge is gone, there is no ${bridge}: install fijibridge again"
    : 'this script was copied, but it must be installed, to know its Python'
message += ", and run 'fijibridge install-scripts PATH_TO_FIJI'"
def macro = ij.Macro.getOptions() == null ? null : ij.macro.Interpreter.getInstance()
if (macro != null) Thread.start { try { macro.abort(message) } catch (RuntimeException ended) { } }.join()
else ij.IJ.error('FijiBridge', message)
ij.Macro.abort()
// SciJava only logs what a script throws; but it asks such an exception for its cause
throw new javax.script.ScriptException(message) {
    synchronized Throwable getCause() { throw new Exception(getMessage()) }
}
