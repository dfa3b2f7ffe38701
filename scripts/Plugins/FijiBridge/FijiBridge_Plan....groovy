// Say what a training on a folder will do and take: patches, coverage, memory, time. Nothing is trained.
// Made by fijibridge from its verb plan: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'plan', command: 'FijiBridge Plan...', long: false,
    summary: 'Say what a training on a folder will do and take: patches, coverage, memory, time. Nothing is trained.',
    help: '<html><h2>Plan</h2><p>Say what a training on a folder will do and take: patches, coverage, memory, time. Nothing is trained.</p><table cellpadding=3 width=640><tr><td valign=top><b>Image folder</b></td><td valign=top><tt>folder</tt></td><td>folder of images with a dataset.toml</td></tr><tr><td valign=top><b>Patch</b></td><td valign=top><tt>patch</tt></td><td>side of a patch, or sides such as 16,128,128; chosen if left out</td></tr><tr><td valign=top><b>Stride</b></td><td valign=top><tt>stride</tt></td><td>from patch to patch, one number or one by axis; chosen if left out</td></tr><tr><td valign=top><b>Batch</b></td><td valign=top><tt>batch</tt></td><td>patches in a batch; 8, or with a limit of memory the most that fit; a whole number of at least 1</td></tr><tr><td valign=top><b>Batches</b></td><td valign=top><tt>batches</tt></td><td>batches in an epoch, at random places; the grid of the stride if left out; a whole number of at least 1</td></tr><tr><td valign=top><b>Epochs</b></td><td valign=top><tt>epochs</tt></td><td>at most; 0 leaves the network as it is; a whole number of at least 0; default 30</td></tr><tr><td valign=top><b>Depth</b></td><td valign=top><tt>depth</tt></td><td>poolings of the U-Net; a whole number of at least 1; default 3</td></tr><tr><td valign=top><b>Channels</b></td><td valign=top><tt>channels</tt></td><td>of the U-Net&#x27;s first level; each pooling doubles them; a whole number of at least 1; default 32</td></tr><tr><td valign=top><b>Dimensions</b></td><td valign=top><tt>dims</tt></td><td>2 for planes, 3 for volumes; a whole number from 2 to 3; default 2</td></tr><tr><td valign=top><b>Memory</b></td><td valign=top><tt>memory</tt></td><td>a limit such as 4GB that batch and patch are chosen to keep</td></tr><tr><td valign=top><b>Precision</b></td><td valign=top><tt>precision</tt></td><td>of the numbers in the network; default auto</td></tr><tr><td valign=top><b>Probe</b></td><td valign=top><tt>probe</tt></td><td>take a few real steps, for a forecast of time and memory; default true</td></tr><tr><td valign=top><b>Device</b></td><td valign=top><tt>device</tt></td><td>cpu, cuda, cuda:1, mps; the best there is if left out</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Plan...&quot;, &quot;folder=[Image folder]&quot;);</tt></p>',
    parameters: [
        [name: 'folder', kind: 'folder', title: 'Image folder', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'folder of images with a dataset.toml'],
        [name: 'patch', kind: 'text', title: 'Patch', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'side of a patch, or sides such as 16,128,128; chosen if left out'],
        [name: 'stride', kind: 'text', title: 'Stride', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'from patch to patch, one number or one by axis; chosen if left out'],
        [name: 'batch', kind: 'integer', title: 'Batch', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'patches in a batch; 8, or with a limit of memory the most that fit; a whole number of at least 1'],
        [name: 'batches', kind: 'integer', title: 'Batches', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'batches in an epoch, at random places; the grid of the stride if left out; a whole number of at least 1'],
        [name: 'epochs', kind: 'integer', title: 'Epochs', unit: '', usual: '30', optional: false, wide: false, choices: [], told: 'at most; 0 leaves the network as it is; a whole number of at least 0; default 30'],
        [name: 'depth', kind: 'integer', title: 'Depth', unit: '', usual: '3', optional: false, wide: false, choices: [], told: 'poolings of the U-Net; a whole number of at least 1; default 3'],
        [name: 'channels', kind: 'integer', title: 'Channels', unit: '', usual: '32', optional: false, wide: false, choices: [], told: 'of the U-Net\'s first level; each pooling doubles them; a whole number of at least 1; default 32'],
        [name: 'dims', kind: 'integer', title: 'Dimensions', unit: '', usual: '2', optional: false, wide: false, choices: [], told: '2 for planes, 3 for volumes; a whole number from 2 to 3; default 2'],
        [name: 'memory', kind: 'text', title: 'Memory', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'a limit such as 4GB that batch and patch are chosen to keep'],
        [name: 'precision', kind: 'choice', title: 'Precision', unit: '', usual: 'auto', optional: false, wide: false, choices: ['auto', '32', 'bf16', '16'], told: 'of the numbers in the network; default auto'],
        [name: 'probe', kind: 'flag', title: 'Probe', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'take a few real steps, for a forecast of time and memory; default true'],
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
