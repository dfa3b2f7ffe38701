// Show where predicted cells are wrong, and why: wrong pixels, lost cells, broken membranes.
// Made by fijibridge from its verb show_errors: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'show_errors', command: 'FijiBridge Show Errors...', long: false,
    summary: 'Show where predicted cells are wrong, and why: wrong pixels, lost cells, broken membranes.',
    help: '<html><h2>Show Errors</h2><p>Show where predicted cells are wrong, and why: wrong pixels, lost cells, broken membranes.</p><p>Error map: missed membranes red, extra membranes blue, unknown pixels grey. A point marks each broken membrane, the\ncostliest first.</p><table cellpadding=3 width=640><tr><td valign=top><b>True</b></td><td valign=top><tt>true</tt></td><td>true cells; or the areas in the ROI Manager or in the overlay of the verb&#x27;s first image</td></tr><tr><td valign=top><b>Predicted</b></td><td valign=top><tt>predicted</tt></td><td>predicted cells; or the areas in the ROI Manager or in the overlay of the verb&#x27;s first image</td></tr><tr><td valign=top><b>Prob</b></td><td valign=top><tt>prob</tt></td><td>membrane probability in which the cells were found; their borders if left out</td></tr><tr><td valign=top><b>Thresh</b></td><td valign=top><tt>thresh</tt></td><td>smallest IoU at which two cells match; a number from 0 to 1; default 0.5</td></tr><tr><td valign=top><b>Membrane threshold</b></td><td valign=top><tt>membrane_threshold</tt></td><td>smallest probability at which a pixel is membrane; a number from 0 to 1; default 0.5</td></tr><tr><td valign=top><b>Membrane width</b></td><td valign=top><tt>membrane_width</tt></td><td>width of the true membranes; a number of at least 1 (px); default 3</td></tr><tr><td valign=top><b>Region</b></td><td valign=top><tt>region</tt></td><td>mask, non-zero where the truth is known; the whole image if left out</td></tr><tr><td valign=top><b>Over</b></td><td valign=top><tt>over</tt></td><td>image on which to draw the outlines; the predicted cells if left out</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Show Errors...&quot;, &quot;true=[True] predicted=[Predicted]&quot;);</tt></p>',
    parameters: [
        [name: 'true', kind: 'cells', title: 'True', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'true cells; or the areas in the ROI Manager or in the overlay of the verb\'s first image'],
        [name: 'predicted', kind: 'cells', title: 'Predicted', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'predicted cells; or the areas in the ROI Manager or in the overlay of the verb\'s first image'],
        [name: 'prob', kind: 'image', title: 'Prob', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'membrane probability in which the cells were found; their borders if left out'],
        [name: 'thresh', kind: 'number', title: 'Thresh', unit: '', usual: '0.5', optional: false, wide: false, choices: [], told: 'smallest IoU at which two cells match; a number from 0 to 1; default 0.5'],
        [name: 'membrane_threshold', kind: 'number', title: 'Membrane threshold', unit: '', usual: '0.5', optional: false, wide: false, choices: [], told: 'smallest probability at which a pixel is membrane; a number from 0 to 1; default 0.5'],
        [name: 'membrane_width', kind: 'number', title: 'Membrane width', unit: 'px', usual: '3', optional: false, wide: false, choices: [], told: 'width of the true membranes; a number of at least 1 (px); default 3'],
        [name: 'region', kind: 'image', title: 'Region', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'mask, non-zero where the truth is known; the whole image if left out'],
        [name: 'over', kind: 'image', title: 'Over', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'image on which to draw the outlines; the predicted cells if left out'],
    ],
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
