// Add an image and its cells to a folder of training images and to its description, dataset.toml.
// Made by fijibridge from its verb save_training_set: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'save_training_set', command: 'FijiBridge Save Training Set...', long: false,
    summary: 'Add an image and its cells to a folder of training images and to its description, dataset.toml.',
    help: '<html><h2>Save Training Set</h2><p>Add an image and its cells to a folder of training images and to its description, dataset.toml.</p><table cellpadding=3 width=640><tr><td valign=top><b>Image</b></td><td valign=top><tt>image</tt></td><td>image to train on</td></tr><tr><td valign=top><b>Cells</b></td><td valign=top><tt>cells</tt></td><td>its cells: a label image, the areas in the ROI Manager, or the image&#x27;s overlay; or the areas in the ROI Manager or in the overlay of the verb&#x27;s first image</td></tr><tr><td valign=top><b>Folder</b></td><td valign=top><tt>folder</tt></td><td>folder to which the image is added; created if it does not exist</td></tr><tr><td valign=top><b>Name</b></td><td valign=top><tt>name</tt></td><td>name of the image in the folder; its title if left out</td></tr><tr><td valign=top><b>Split</b></td><td valign=top><tt>split</tt></td><td>use of the image; default train</td></tr><tr><td valign=top><b>Region</b></td><td valign=top><tt>region</tt></td><td>mask, non-zero where cells were drawn; the whole image if left out</td></tr><tr><td valign=top><b>Provenance</b></td><td valign=top><tt>provenance</tt></td><td>origin of the cells; default manual</td></tr><tr><td valign=top><b>Existing image</b></td><td valign=top><tt>existing</tt></td><td>what to do with an image of that name that is already in the folder; default refuse</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Save Training Set...&quot;, &quot;image=[Image] cells=[Cells] folder=[Folder]&quot;);</tt></p>',
    parameters: [
        [name: 'image', kind: 'image', title: 'Image', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'image to train on'],
        [name: 'cells', kind: 'cells', title: 'Cells', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'its cells: a label image, the areas in the ROI Manager, or the image\'s overlay; or the areas in the ROI Manager or in the overlay of the verb\'s first image'],
        [name: 'folder', kind: 'new folder', title: 'Folder', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'folder to which the image is added; created if it does not exist'],
        [name: 'name', kind: 'text', title: 'Name', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'name of the image in the folder; its title if left out'],
        [name: 'split', kind: 'choice', title: 'Split', unit: '', usual: 'train', optional: false, wide: false, choices: ['train', 'validation', 'test'], told: 'use of the image; default train'],
        [name: 'region', kind: 'image', title: 'Region', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'mask, non-zero where cells were drawn; the whole image if left out'],
        [name: 'provenance', kind: 'choice', title: 'Provenance', unit: '', usual: 'manual', optional: false, wide: false, choices: ['manual', 'corrected', 'algorithm', 'unknown'], told: 'origin of the cells; default manual'],
        [name: 'existing', kind: 'choice', title: 'Existing image', unit: '', usual: 'refuse', optional: false, wide: false, choices: ['refuse', 'replace'], told: 'what to do with an image of that name that is already in the folder; default refuse'],
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
