// Find the cells between membranes, in a prediction or, with a model, in an image.
// Made by fijibridge from its verb label_cells: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'label_cells', command: 'FijiBridge Label Cells...', long: false,
    summary: 'Find the cells between membranes, in a prediction or, with a model, in an image.',
    help: '<html><h2>Label Cells</h2><p>Find the cells between membranes, in a prediction or, with a model, in an image.</p><p>Cells get ids from 1; ROIs are named by them.</p><table cellpadding=3 width=640><tr><td valign=top><b>Image</b></td><td valign=top><tt>image</tt></td><td>membrane probability, as Predict makes it; with a model, the image itself</td></tr><tr><td valign=top><b>Model</b></td><td valign=top><tt>model</tt></td><td>model file, or the folder of a run, to predict the image with first</td></tr><tr><td valign=top><b>Membrane</b></td><td valign=top><tt>membrane</tt></td><td>the channel with the membranes: its name, or its number from 1; default membrane</td></tr><tr><td valign=top><b>Method</b></td><td valign=top><tt>method</tt></td><td>threshold: connected regions; watershed: closes gaps too; minima, seeded: noise, stacks; agglomeration: weighs whole membranes; default watershed</td></tr><tr><td valign=top><b>Threshold</b></td><td valign=top><tt>threshold</tt></td><td>from this probability on it is membrane; a number from 0 to 1; default 0.5</td></tr><tr><td valign=top><b>Smoothing sigma</b></td><td valign=top><tt>sigma</tt></td><td>smoothing; not of threshold; a number of at least 0 (px)</td></tr><tr><td valign=top><b>Least dynamics h</b></td><td valign=top><tt>h</tt></td><td>how much wider than its necks a cell must be; of minima how much deeper, a probability; a number of at least 0 (px)</td></tr><tr><td valign=top><b>Beta</b></td><td valign=top><tt>beta</tt></td><td>of agglomeration: mean probability from which on a membrane separates; a number from 0 to 1</td></tr><tr><td valign=top><b>Min size</b></td><td valign=top><tt>min_size</tt></td><td>leave out smaller regions, in the unit below; a number of at least 0; default 0</td></tr><tr><td valign=top><b>Max size</b></td><td valign=top><tt>max_size</tt></td><td>take out larger regions, in the unit below; a number of at least 0</td></tr><tr><td valign=top><b>Unit</b></td><td valign=top><tt>unit</tt></td><td>of the sizes; default px</td></tr><tr><td valign=top><b>Grow</b></td><td valign=top><tt>grow</tt></td><td>grow the cells until a gap of 1 px is left; default true</td></tr><tr><td valign=top><b>Grow by</b></td><td valign=top><tt>grow_by</tt></td><td>grow at most so far; a number of at least 0 (px)</td></tr><tr><td valign=top><b>Fill holes</b></td><td valign=top><tt>fill_holes</tt></td><td>fill what is enclosed by one cell; default true</td></tr><tr><td valign=top><b>Border</b></td><td valign=top><tt>border</tt></td><td>cells that touch the border of the image; default keep</td></tr><tr><td valign=top><b>Outlines</b></td><td valign=top><tt>outlines</tt></td><td>draw the cells over the image too; default true</td></tr><tr><td valign=top><b>Add to ROI Manager</b></td><td valign=top><tt>manager</tt></td><td>put them into the ROI Manager too; default false</td></tr><tr><td valign=top><b>Device</b></td><td valign=top><tt>device</tt></td><td>cpu, cuda, cuda:1, mps; the best there is if left out</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Label Cells...&quot;, &quot;image=[Image]&quot;);</tt></p>',
    parameters: [
        [name: 'image', kind: 'image', title: 'Image', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'membrane probability, as Predict makes it; with a model, the image itself'],
        [name: 'model', kind: 'file', title: 'Model', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'model file, or the folder of a run, to predict the image with first'],
        [name: 'membrane', kind: 'text', title: 'Membrane', unit: '', usual: 'membrane', optional: false, wide: false, choices: [], told: 'the channel with the membranes: its name, or its number from 1; default membrane'],
        [name: 'method', kind: 'choice', title: 'Method', unit: '', usual: 'watershed', optional: false, wide: false, choices: ['threshold', 'watershed', 'minima', 'seeded', 'agglomeration'], told: 'threshold: connected regions; watershed: closes gaps too; minima, seeded: noise, stacks; agglomeration: weighs whole membranes; default watershed'],
        [name: 'threshold', kind: 'number', title: 'Threshold', unit: '', usual: '0.5', optional: false, wide: false, choices: [], told: 'from this probability on it is membrane; a number from 0 to 1; default 0.5'],
        [name: 'sigma', kind: 'number', title: 'Smoothing sigma', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'smoothing; not of threshold; a number of at least 0 (px)'],
        [name: 'h', kind: 'number', title: 'Least dynamics h', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'how much wider than its necks a cell must be; of minima how much deeper, a probability; a number of at least 0 (px)'],
        [name: 'beta', kind: 'number', title: 'Beta', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'of agglomeration: mean probability from which on a membrane separates; a number from 0 to 1'],
        [name: 'min_size', kind: 'number', title: 'Min size', unit: '', usual: '0', optional: false, wide: false, choices: [], told: 'leave out smaller regions, in the unit below; a number of at least 0; default 0'],
        [name: 'max_size', kind: 'number', title: 'Max size', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'take out larger regions, in the unit below; a number of at least 0'],
        [name: 'unit', kind: 'choice', title: 'Unit', unit: '', usual: 'px', optional: false, wide: false, choices: ['px', 'um2', 'um3'], told: 'of the sizes; default px'],
        [name: 'grow', kind: 'flag', title: 'Grow', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'grow the cells until a gap of 1 px is left; default true'],
        [name: 'grow_by', kind: 'number', title: 'Grow by', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'grow at most so far; a number of at least 0 (px)'],
        [name: 'fill_holes', kind: 'flag', title: 'Fill holes', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'fill what is enclosed by one cell; default true'],
        [name: 'border', kind: 'choice', title: 'Border', unit: '', usual: 'keep', optional: false, wide: false, choices: ['keep', 'remove'], told: 'cells that touch the border of the image; default keep'],
        [name: 'outlines', kind: 'flag', title: 'Outlines', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'draw the cells over the image too; default true'],
        [name: 'manager', kind: 'flag', title: 'Add to ROI Manager', unit: '', usual: 'false', optional: false, wide: false, choices: [], told: 'put them into the ROI Manager too; default false'],
        [name: 'device', kind: 'text', title: 'Device', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'cpu, cuda, cuda:1, mps; the best there is if left out'],
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
