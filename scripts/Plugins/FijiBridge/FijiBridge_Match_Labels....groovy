// Match predicted cells to true ones; tabulate matched, GT, predicted, image, precision, recall, F1 ...
// Made by fijibridge from its verb match_labels: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'match_labels', command: 'FijiBridge Match Labels...', long: false,
    summary: 'Match predicted cells to true ones; tabulate matched, GT, predicted, image, precision, recall, F1 ...',
    help: '<html><h2>Match Labels</h2><p>Match predicted cells to true ones; tabulate matched, GT, predicted, image, precision, recall, F1 ...</p><p>Outlines: matched green, missed orange, extra pink, split yellow, merged blue.</p><table cellpadding=3 width=640><tr><td valign=top><b>True</b></td><td valign=top><tt>true</tt></td><td>true cells; or the areas in the ROI Manager or in the overlay of the verb&#x27;s first image</td></tr><tr><td valign=top><b>Predicted</b></td><td valign=top><tt>predicted</tt></td><td>predicted cells; or the areas in the ROI Manager or in the overlay of the verb&#x27;s first image</td></tr><tr><td valign=top><b>Thresh</b></td><td valign=top><tt>thresh</tt></td><td>smallest IoU at which two cells match; a number from 0 to 1; default 0.5</td></tr><tr><td valign=top><b>Region</b></td><td valign=top><tt>region</tt></td><td>mask, non-zero where the truth is known; the whole image if left out</td></tr><tr><td valign=top><b>Min size</b></td><td valign=top><tt>min_size</tt></td><td>ignore smaller cells, true and predicted; a whole number of at least 0 (px); default 0</td></tr><tr><td valign=top><b>Over</b></td><td valign=top><tt>over</tt></td><td>image on which to draw the outlines; the predicted cells if left out</td></tr><tr><td valign=top><b>Table</b></td><td valign=top><tt>table</tt></td><td>table to which a row for this image is added; default Matches</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Match Labels...&quot;, &quot;true=[True] predicted=[Predicted]&quot;);</tt></p>',
    parameters: [
        [name: 'true', kind: 'cells', title: 'True', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'true cells; or the areas in the ROI Manager or in the overlay of the verb\'s first image'],
        [name: 'predicted', kind: 'cells', title: 'Predicted', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'predicted cells; or the areas in the ROI Manager or in the overlay of the verb\'s first image'],
        [name: 'thresh', kind: 'number', title: 'Thresh', unit: '', usual: '0.5', optional: false, wide: false, choices: [], told: 'smallest IoU at which two cells match; a number from 0 to 1; default 0.5'],
        [name: 'region', kind: 'image', title: 'Region', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'mask, non-zero where the truth is known; the whole image if left out'],
        [name: 'min_size', kind: 'integer', title: 'Min size', unit: 'px', usual: '0', optional: false, wide: false, choices: [], told: 'ignore smaller cells, true and predicted; a whole number of at least 0 (px); default 0'],
        [name: 'over', kind: 'image', title: 'Over', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'image on which to draw the outlines; the predicted cells if left out'],
        [name: 'table', kind: 'text', title: 'Table', unit: '', usual: 'Matches', optional: false, wide: false, choices: [], told: 'table to which a row for this image is added; default Matches'],
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
