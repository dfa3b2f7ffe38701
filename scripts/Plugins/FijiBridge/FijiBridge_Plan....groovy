// Estimate patches, coverage, memory and time of training on a folder, without training.
// Made by fijibridge from its verb plan: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'plan', command: 'FijiBridge Plan...', long: false,
    summary: 'Estimate patches, coverage, memory and time of training on a folder, without training.',
    help: '<html><h2>Plan</h2><p>Estimate patches, coverage, memory and time of training on a folder, without training.</p><table cellpadding=3 width=640><tr><td valign=top><b>Image folder</b></td><td valign=top><tt>folder</tt></td><td>folder of images with a dataset.toml</td></tr><tr><td valign=top><b>Patch</b></td><td valign=top><tt>patch</tt></td><td>side of a patch: one number for all axes, or one per axis, such as 16,128,128; automatic if left out</td></tr><tr><td valign=top><b>Stride</b></td><td valign=top><tt>stride</tt></td><td>distance between patches: one number for all axes, or one per axis, such as 16,128,128; automatic if left out</td></tr><tr><td valign=top><b>Batch</b></td><td valign=top><tt>batch</tt></td><td>patches per batch; if left out, 8, or as many as the memory limit allows; a whole number of at least 1</td></tr><tr><td valign=top><b>Batches</b></td><td valign=top><tt>batches</tt></td><td>batches per epoch, at random places; if left out, patches lie on a grid; a whole number of at least 1</td></tr><tr><td valign=top><b>Epochs</b></td><td valign=top><tt>epochs</tt></td><td>largest number of epochs; 0 leaves the network unchanged; a whole number of at least 0; default 50</td></tr><tr><td valign=top><b>Depth</b></td><td valign=top><tt>depth</tt></td><td>number of pooling steps of the U-Net; a whole number of at least 1; default 3</td></tr><tr><td valign=top><b>Channels</b></td><td valign=top><tt>channels</tt></td><td>channels of the U-Net&#x27;s first level; each pooling doubles them; a whole number of at least 1; default 32</td></tr><tr><td valign=top><b>Dimensions</b></td><td valign=top><tt>dims</tt></td><td>2 for planes, 3 for volumes; a whole number from 2 to 3; default 2</td></tr><tr><td valign=top><b>Memory limit</b></td><td valign=top><tt>memory_limit</tt></td><td>memory limit, such as 4GB; batch and patch are chosen to fit</td></tr><tr><td valign=top><b>Precision</b></td><td valign=top><tt>precision</tt></td><td>numbers in the network: 32 bits, or mixed with bf16 or 16; auto is bf16 on a GPU that has it, else 32; default auto</td></tr><tr><td valign=top><b>Probe</b></td><td valign=top><tt>probe</tt></td><td>forecast time and memory from a few real steps; default true</td></tr><tr><td valign=top><b>Device</b></td><td valign=top><tt>device</tt></td><td>cpu, cuda, cuda:1, mps; the fastest available if left out</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Plan...&quot;, &quot;folder=[Image folder]&quot;);</tt></p>',
    parameters: [
        [name: 'folder', kind: 'folder', title: 'Image folder', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'folder of images with a dataset.toml'],
        [name: 'patch', kind: 'text', title: 'Patch', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'side of a patch: one number for all axes, or one per axis, such as 16,128,128; automatic if left out'],
        [name: 'stride', kind: 'text', title: 'Stride', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'distance between patches: one number for all axes, or one per axis, such as 16,128,128; automatic if left out'],
        [name: 'batch', kind: 'integer', title: 'Batch', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'patches per batch; if left out, 8, or as many as the memory limit allows; a whole number of at least 1'],
        [name: 'batches', kind: 'integer', title: 'Batches', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'batches per epoch, at random places; if left out, patches lie on a grid; a whole number of at least 1'],
        [name: 'epochs', kind: 'integer', title: 'Epochs', unit: '', usual: '50', optional: false, wide: false, choices: [], told: 'largest number of epochs; 0 leaves the network unchanged; a whole number of at least 0; default 50'],
        [name: 'depth', kind: 'integer', title: 'Depth', unit: '', usual: '3', optional: false, wide: false, choices: [], told: 'number of pooling steps of the U-Net; a whole number of at least 1; default 3'],
        [name: 'channels', kind: 'integer', title: 'Channels', unit: '', usual: '32', optional: false, wide: false, choices: [], told: 'channels of the U-Net\'s first level; each pooling doubles them; a whole number of at least 1; default 32'],
        [name: 'dims', kind: 'integer', title: 'Dimensions', unit: '', usual: '2', optional: false, wide: false, choices: [], told: '2 for planes, 3 for volumes; a whole number from 2 to 3; default 2'],
        [name: 'memory_limit', kind: 'text', title: 'Memory limit', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'memory limit, such as 4GB; batch and patch are chosen to fit'],
        [name: 'precision', kind: 'choice', title: 'Precision', unit: '', usual: 'auto', optional: false, wide: false, choices: ['auto', '32', 'bf16', '16'], told: 'numbers in the network: 32 bits, or mixed with bf16 or 16; auto is bf16 on a GPU that has it, else 32; default auto'],
        [name: 'probe', kind: 'flag', title: 'Probe', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'forecast time and memory from a few real steps; default true'],
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
