// Measure cells with ImageJ's own Measure: one row per cell in the table Results, labelled with the cell's id.
// Made by fijibridge from its verb measure_cells: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'measure_cells', command: 'FijiBridge Measure Cells...', long: false,
    summary: 'Measure cells with ImageJ\'s own Measure: one row per cell in the table Results, labelled with the cell\'s id.',
    help: '<html><h2>Measure Cells</h2><p>Measure cells with ImageJ&#x27;s own Measure: one row per cell in the table Results, labelled with the cell&#x27;s id.</p><table cellpadding=3 width=640><tr><td valign=top><b>Cells</b></td><td valign=top><tt>cells</tt></td><td>cells to measure; or the areas in the ROI Manager or in the overlay of the verb&#x27;s first image</td></tr><tr><td valign=top><b>Image</b></td><td valign=top><tt>image</tt></td><td>image to measure them in</td></tr><tr><td valign=top><b>Measurements</b></td><td valign=top><tt>measurements</tt></td><td>names from Analyze &gt; Set Measurements, separated by spaces; default area mean std_dev min_max centroid perimeter ellipse shape feret integrated</td></tr><tr><td valign=top><b>Channel</b></td><td valign=top><tt>channel</tt></td><td>1-based channel to measure in; the shown one if left out; a whole number of at least 1</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Measure Cells...&quot;, &quot;cells=[Cells] image=[Image]&quot;);</tt></p>',
    parameters: [
        [name: 'cells', kind: 'cells', title: 'Cells', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'cells to measure; or the areas in the ROI Manager or in the overlay of the verb\'s first image'],
        [name: 'image', kind: 'image', title: 'Image', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'image to measure them in'],
        [name: 'measurements', kind: 'text', title: 'Measurements', unit: '', usual: 'area mean std_dev min_max centroid perimeter ellipse shape feret integrated', optional: false, wide: true, choices: [], told: 'names from Analyze > Set Measurements, separated by spaces; default area mean std_dev min_max centroid perimeter ellipse shape feret integrated'],
        [name: 'channel', kind: 'integer', title: 'Channel', unit: '', usual: '', optional: true, wide: false, choices: [], told: '1-based channel to measure in; the shown one if left out; a whole number of at least 1'],
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
