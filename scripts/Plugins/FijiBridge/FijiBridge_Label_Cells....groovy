// Find the cells between membranes, in a prediction or, with a model, in an image.
// Made by fijibridge from its verb label_cells: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'label_cells', command: 'FijiBridge Label Cells...', long: false,
    summary: 'Find the cells between membranes, in a prediction or, with a model, in an image.',
    help: '<html><h2>Label Cells</h2><p>Find the cells between membranes, in a prediction or, with a model, in an image.</p><p>Cells get ids starting at 1, which are also the names of their ROIs.</p><table cellpadding=3 width=640><tr><td valign=top><b>Image</b></td><td valign=top><tt>image</tt></td><td>membrane probability, a result of Predict; with a model, the image itself</td></tr><tr><td valign=top><b>Model</b></td><td valign=top><tt>model</tt></td><td>model file, or folder of a run, with which to predict the image first</td></tr><tr><td valign=top><b>Membrane</b></td><td valign=top><tt>membrane</tt></td><td>channel of the membranes: its name or 1-based number; default membrane</td></tr><tr><td valign=top><b>Method</b></td><td valign=top><tt>method</tt></td><td>threshold for perfect membranes; watershed for gaps in membranes between round cells; minima for noise, small cells, 3D; seeded for noisy or faint membranes, 3D; agglomeration for unequal cells, gaps that are short beside their membrane; default watershed</td></tr><tr><td valign=top><b>Threshold</b></td><td valign=top><tt>threshold</tt></td><td>smallest probability at which a pixel is membrane; a number from 0 to 1; default 0.5</td></tr><tr><td valign=top><b>Sigma</b></td><td valign=top><tt>sigma</tt></td><td>standard deviation of the smoothing (watershed 1.5, minima 1, seeded 0.5, agglomeration 0.5); a number of at least 0 (px)</td></tr><tr><td valign=top><b>H</b></td><td valign=top><tt>h</tt></td><td>how much wider, in radius, a cell is than its necks (watershed 2, seeded 2, agglomeration 0.5); depth of a minimum below the lowest way out of it, a probability (minima 0.05); a number of at least 0</td></tr><tr><td valign=top><b>Beta</b></td><td valign=top><tt>beta</tt></td><td>mean probability from which a membrane separates two cells (agglomeration 0.5); a number from 0 to 1</td></tr><tr><td valign=top><b>Min size</b></td><td valign=top><tt>min_size</tt></td><td>remove smaller regions, in the unit below; a number of at least 0; default 0</td></tr><tr><td valign=top><b>Max size</b></td><td valign=top><tt>max_size</tt></td><td>remove larger regions, in the unit below; a number of at least 0</td></tr><tr><td valign=top><b>Unit</b></td><td valign=top><tt>unit</tt></td><td>unit of the sizes; default px</td></tr><tr><td valign=top><b>Grow</b></td><td valign=top><tt>grow</tt></td><td>grow the cells until only gaps of 1 px are left; default true</td></tr><tr><td valign=top><b>Grow by</b></td><td valign=top><tt>grow_by</tt></td><td>largest distance by which cells grow; a number of at least 0 (px)</td></tr><tr><td valign=top><b>Fill holes</b></td><td valign=top><tt>fill_holes</tt></td><td>fill holes enclosed by a single cell; default true</td></tr><tr><td valign=top><b>Edge cells</b></td><td valign=top><tt>edge_cells</tt></td><td>cells that touch the edge of the image; default keep</td></tr><tr><td valign=top><b>Outlines</b></td><td valign=top><tt>outlines</tt></td><td>also draw the cells on the image; default true</td></tr><tr><td valign=top><b>Add to ROI Manager</b></td><td valign=top><tt>manager</tt></td><td>also add the cells to the ROI Manager; default false</td></tr><tr><td valign=top><b>Device</b></td><td valign=top><tt>device</tt></td><td>cpu, cuda, cuda:1, mps; the fastest available if left out</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Label Cells...&quot;, &quot;image=[Image]&quot;);</tt></p>',
    parameters: [
        [name: 'image', kind: 'image', title: 'Image', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'membrane probability, a result of Predict; with a model, the image itself'],
        [name: 'model', kind: 'file', title: 'Model', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'model file, or folder of a run, with which to predict the image first'],
        [name: 'membrane', kind: 'text', title: 'Membrane', unit: '', usual: 'membrane', optional: false, wide: false, choices: [], told: 'channel of the membranes: its name or 1-based number; default membrane'],
        [name: 'method', kind: 'choice', title: 'Method', unit: '', usual: 'watershed', optional: false, wide: false, choices: ['threshold', 'watershed', 'minima', 'seeded', 'agglomeration'], told: 'threshold for perfect membranes; watershed for gaps in membranes between round cells; minima for noise, small cells, 3D; seeded for noisy or faint membranes, 3D; agglomeration for unequal cells, gaps that are short beside their membrane; default watershed'],
        [name: 'threshold', kind: 'number', title: 'Threshold', unit: '', usual: '0.5', optional: false, wide: false, choices: [], told: 'smallest probability at which a pixel is membrane; a number from 0 to 1; default 0.5'],
        [name: 'sigma', kind: 'number', title: 'Sigma', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'standard deviation of the smoothing (watershed 1.5, minima 1, seeded 0.5, agglomeration 0.5); a number of at least 0 (px)'],
        [name: 'h', kind: 'number', title: 'H', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'how much wider, in radius, a cell is than its necks (watershed 2, seeded 2, agglomeration 0.5); depth of a minimum below the lowest way out of it, a probability (minima 0.05); a number of at least 0'],
        [name: 'beta', kind: 'number', title: 'Beta', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'mean probability from which a membrane separates two cells (agglomeration 0.5); a number from 0 to 1'],
        [name: 'min_size', kind: 'number', title: 'Min size', unit: '', usual: '0', optional: false, wide: false, choices: [], told: 'remove smaller regions, in the unit below; a number of at least 0; default 0'],
        [name: 'max_size', kind: 'number', title: 'Max size', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'remove larger regions, in the unit below; a number of at least 0'],
        [name: 'unit', kind: 'choice', title: 'Unit', unit: '', usual: 'px', optional: false, wide: false, choices: ['px', 'um2', 'um3'], told: 'unit of the sizes; default px'],
        [name: 'grow', kind: 'flag', title: 'Grow', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'grow the cells until only gaps of 1 px are left; default true'],
        [name: 'grow_by', kind: 'number', title: 'Grow by', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'largest distance by which cells grow; a number of at least 0 (px)'],
        [name: 'fill_holes', kind: 'flag', title: 'Fill holes', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'fill holes enclosed by a single cell; default true'],
        [name: 'edge_cells', kind: 'choice', title: 'Edge cells', unit: '', usual: 'keep', optional: false, wide: false, choices: ['keep', 'remove'], told: 'cells that touch the edge of the image; default keep'],
        [name: 'outlines', kind: 'flag', title: 'Outlines', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'also draw the cells on the image; default true'],
        [name: 'manager', kind: 'flag', title: 'Add to ROI Manager', unit: '', usual: 'false', optional: false, wide: false, choices: [], told: 'also add the cells to the ROI Manager; default false'],
        [name: 'device', kind: 'text', title: 'Device', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'cpu, cuda, cuda:1, mps; the fastest available if left out'],
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
