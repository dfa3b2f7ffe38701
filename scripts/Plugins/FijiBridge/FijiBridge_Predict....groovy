// Predict the class probabilities of an image, such as membrane or not.
// Made by fijibridge from its verb predict: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'predict', command: 'FijiBridge Predict...', long: false,
    summary: 'Predict the class probabilities of an image, such as membrane or not.',
    help: '<html><h2>Predict</h2><p>Predict the class probabilities of an image, such as membrane or not.</p><p>The result has a channel for each class, and the pixel size and position of the image. The image can have any size:\nthe network sees one tile after another, and the result is the same as for the whole image at once.</p><table cellpadding=3 width=640><tr><td valign=top><b>Image</b></td><td valign=top><tt>image</tt></td><td>image to predict</td></tr><tr><td valign=top><b>Model</b></td><td valign=top><tt>model</tt></td><td>model file, or the folder of a run</td></tr><tr><td valign=top><b>Flips</b></td><td valign=top><tt>flips</tt></td><td>average over mirrored images: 4 times the work, 8 times in 3D; default false</td></tr><tr><td valign=top><b>Padding</b></td><td valign=top><tt>padding</tt></td><td>pixels beyond the edge of the image. as trained: what the network saw there in training; mirror: the mirrored image; valid: none, so the result is smaller; default as trained</td></tr><tr><td valign=top><b>Tile</b></td><td valign=top><tt>tile</tt></td><td>side of the tiles, which does not affect the result; if left out, the largest that fits into memory; a whole number of at least 1 (px)</td></tr><tr><td valign=top><b>Precision</b></td><td valign=top><tt>precision</tt></td><td>number format in the network; bf16 needs less memory; default 32</td></tr><tr><td valign=top><b>Device</b></td><td valign=top><tt>device</tt></td><td>cpu, cuda, cuda:1, mps; the fastest available if left out</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Predict...&quot;, &quot;image=[Image] model=[Model]&quot;);</tt></p>',
    parameters: [
        [name: 'image', kind: 'image', title: 'Image', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'image to predict'],
        [name: 'model', kind: 'file', title: 'Model', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'model file, or the folder of a run'],
        [name: 'flips', kind: 'flag', title: 'Flips', unit: '', usual: 'false', optional: false, wide: false, choices: [], told: 'average over mirrored images: 4 times the work, 8 times in 3D; default false'],
        [name: 'padding', kind: 'choice', title: 'Padding', unit: '', usual: 'as trained', optional: false, wide: false, choices: ['as trained', 'mirror', 'valid'], told: 'pixels beyond the edge of the image. as trained: what the network saw there in training; mirror: the mirrored image; valid: none, so the result is smaller; default as trained'],
        [name: 'tile', kind: 'integer', title: 'Tile', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'side of the tiles, which does not affect the result; if left out, the largest that fits into memory; a whole number of at least 1 (px)'],
        [name: 'precision', kind: 'choice', title: 'Precision', unit: '', usual: '32', optional: false, wide: false, choices: ['32', 'bf16'], told: 'number format in the network; bf16 needs less memory; default 32'],
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
