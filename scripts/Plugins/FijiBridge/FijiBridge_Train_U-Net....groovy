// Train a U-Net on the membranes of a folder's training images.
import ij.IJ
import ij.Macro
import ij.macro.Interpreter

import javax.script.ScriptException

// Made by fijibridge from its verb train_u_net: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
def verb = [
    name: 'train_u_net', command: 'FijiBridge Train U-Net...', long: true,
    summary: 'Train a U-Net on the membranes of a folder\'s training images.',
    help: '<html><h2>Train U-Net</h2><p>Train a U-Net on the membranes of a folder&#x27;s training images.</p><p>From the menu it goes on in the background, and Stop Training ends it; a macro waits for its end. Whatever ends it,\nthe model and the record are in the folder: a run that was broken off goes on with existing = resume.</p><table cellpadding=3 width=640><tr><td valign=top><b>Image folder</b></td><td valign=top><tt>folder</tt></td><td>folder of images with a dataset.toml</td></tr><tr><td valign=top><b>Output folder</b></td><td valign=top><tt>out</tt></td><td>folder for the model and the record of the run</td></tr><tr><td valign=top><b>Start</b></td><td valign=top><tt>start</tt></td><td>model or run to go on from, with these images; a new network if left out</td></tr><tr><td valign=top><b>Epochs</b></td><td valign=top><tt>epochs</tt></td><td>at most; 0 leaves the network as it is; a whole number of at least 0; default 30</td></tr><tr><td valign=top><b>Batches</b></td><td valign=top><tt>batches</tt></td><td>batches in an epoch; a whole number of at least 1; default 50</td></tr><tr><td valign=top><b>Batch</b></td><td valign=top><tt>batch</tt></td><td>patches in a batch, of all devices together; a whole number of at least 1; default 8</td></tr><tr><td valign=top><b>Patch</b></td><td valign=top><tt>patch</tt></td><td>side of a patch, or sides such as 16,128,128; 128, and 16 of z, if left out</td></tr><tr><td valign=top><b>Membrane width</b></td><td valign=top><tt>width</tt></td><td>of the membranes that are drawn between cells; the network&#x27;s is channels; a number of at least 1 (px); default 3</td></tr><tr><td valign=top><b>Target</b></td><td valign=top><tt>target</tt></td><td>what is learnt: classes (pixel labels), labels (membranes between cells); default auto</td></tr><tr><td valign=top><b>Depth</b></td><td valign=top><tt>depth</tt></td><td>poolings of the U-Net; a whole number of at least 1; default 3</td></tr><tr><td valign=top><b>Channels</b></td><td valign=top><tt>channels</tt></td><td>of the U-Net&#x27;s first level; each pooling doubles them; a whole number of at least 1; default 32</td></tr><tr><td valign=top><b>Dimensions</b></td><td valign=top><tt>dims</tt></td><td>2 for planes, 3 for volumes; a whole number from 2 to 3; default 2</td></tr><tr><td valign=top><b>Learning rate</b></td><td valign=top><tt>lr</tt></td><td>largest learning rate; a number of at least 0; default 0.003</td></tr><tr><td valign=top><b>Sampling</b></td><td valign=top><tt>sampling</tt></td><td>where patches lie: positions, images, membranes, grid ...; default positions</td></tr><tr><td valign=top><b>Augment</b></td><td valign=top><tt>augment</tt></td><td>transform patches at random; default true</td></tr><tr><td valign=top><b>Metric</b></td><td valign=top><tt>metric</tt></td><td>what says which epoch is best: the loss, or F1 of cells; default val_loss</td></tr><tr><td valign=top><b>Patience</b></td><td valign=top><tt>patience</tt></td><td>stop after so many epochs without a better metric on validation images; a whole number of at least 0</td></tr><tr><td valign=top><b>Precision</b></td><td valign=top><tt>precision</tt></td><td>of the numbers in the network; default auto</td></tr><tr><td valign=top><b>Forecast</b></td><td valign=top><tt>forecast</tt></td><td>say before what it will take, from a short trial; default true</td></tr><tr><td valign=top><b>Seed</b></td><td valign=top><tt>seed</tt></td><td>of the first weights, patches and augmentation; a whole number of at least 0; default 0</td></tr><tr><td valign=top><b>If there is one</b></td><td valign=top><tt>existing</tt></td><td>what to do with a run that is in the folder already; default refuse</td></tr><tr><td valign=top><b>Device</b></td><td valign=top><tt>device</tt></td><td>cpu, cuda, cuda:1, mps; the best there is if left out</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Train U-Net...&quot;, &quot;folder=[Image folder] out=[Output folder]&quot;);</tt></p>',
    parameters: [
        [name: 'folder', kind: 'folder', title: 'Image folder', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'folder of images with a dataset.toml'],
        [name: 'out', kind: 'new folder', title: 'Output folder', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'folder for the model and the record of the run'],
        [name: 'start', kind: 'file', title: 'Start', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'model or run to go on from, with these images; a new network if left out'],
        [name: 'epochs', kind: 'integer', title: 'Epochs', unit: '', usual: '30', optional: false, wide: false, choices: [], told: 'at most; 0 leaves the network as it is; a whole number of at least 0; default 30'],
        [name: 'batches', kind: 'integer', title: 'Batches', unit: '', usual: '50', optional: false, wide: false, choices: [], told: 'batches in an epoch; a whole number of at least 1; default 50'],
        [name: 'batch', kind: 'integer', title: 'Batch', unit: '', usual: '8', optional: false, wide: false, choices: [], told: 'patches in a batch, of all devices together; a whole number of at least 1; default 8'],
        [name: 'patch', kind: 'text', title: 'Patch', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'side of a patch, or sides such as 16,128,128; 128, and 16 of z, if left out'],
        [name: 'width', kind: 'number', title: 'Membrane width', unit: 'px', usual: '3', optional: false, wide: false, choices: [], told: 'of the membranes that are drawn between cells; the network\'s is channels; a number of at least 1 (px); default 3'],
        [name: 'target', kind: 'choice', title: 'Target', unit: '', usual: 'auto', optional: false, wide: false, choices: ['auto', 'classes', 'labels'], told: 'what is learnt: classes (pixel labels), labels (membranes between cells); default auto'],
        [name: 'depth', kind: 'integer', title: 'Depth', unit: '', usual: '3', optional: false, wide: false, choices: [], told: 'poolings of the U-Net; a whole number of at least 1; default 3'],
        [name: 'channels', kind: 'integer', title: 'Channels', unit: '', usual: '32', optional: false, wide: false, choices: [], told: 'of the U-Net\'s first level; each pooling doubles them; a whole number of at least 1; default 32'],
        [name: 'dims', kind: 'integer', title: 'Dimensions', unit: '', usual: '2', optional: false, wide: false, choices: [], told: '2 for planes, 3 for volumes; a whole number from 2 to 3; default 2'],
        [name: 'lr', kind: 'number', title: 'Learning rate', unit: '', usual: '0.003', optional: false, wide: false, choices: [], told: 'largest learning rate; a number of at least 0; default 0.003'],
        [name: 'sampling', kind: 'text', title: 'Sampling', unit: '', usual: 'positions', optional: false, wide: false, choices: [], told: 'where patches lie: positions, images, membranes, grid ...; default positions'],
        [name: 'augment', kind: 'flag', title: 'Augment', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'transform patches at random; default true'],
        [name: 'metric', kind: 'choice', title: 'Metric', unit: '', usual: 'val_loss', optional: false, wide: false, choices: ['val_loss', 'val_f1'], told: 'what says which epoch is best: the loss, or F1 of cells; default val_loss'],
        [name: 'patience', kind: 'integer', title: 'Patience', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'stop after so many epochs without a better metric on validation images; a whole number of at least 0'],
        [name: 'precision', kind: 'choice', title: 'Precision', unit: '', usual: 'auto', optional: false, wide: false, choices: ['auto', '32', 'bf16', '16'], told: 'of the numbers in the network; default auto'],
        [name: 'forecast', kind: 'flag', title: 'Forecast', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'say before what it will take, from a short trial; default true'],
        [name: 'seed', kind: 'integer', title: 'Seed', unit: '', usual: '0', optional: false, wide: false, choices: [], told: 'of the first weights, patches and augmentation; a whole number of at least 0; default 0'],
        [name: 'existing', kind: 'choice', title: 'If there is one', unit: '', usual: 'refuse', optional: false, wide: false, choices: ['refuse', 'resume', 'replace'], told: 'what to do with a run that is in the folder already; default refuse'],
        [name: 'device', kind: 'text', title: 'Device', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'cpu, cuda, cuda:1, mps; the best there is if left out'],
    ],
]
if (!bridge.isFile()) {
    def message = python
        ? "the Python environment of FijiBridge is gone, there is no ${bridge}: install fijibridge again, and run "
        : 'this script was copied, but it must be installed, to know its Python: run '
    message += "'fijibridge install-scripts PATH_TO_FIJI'"
    def macro = Macro.getOptions() == null ? null : Interpreter.getInstance()
    if (macro != null) Thread.start { try { macro.abort(message) } catch (RuntimeException ended) { } }.join()
    else IJ.error('FijiBridge', message)
    Macro.abort()
    // SciJava only logs what a script throws; but it asks such an exception for its cause
    throw new ScriptException(message) {
        synchronized Throwable getCause() { throw new Exception(getMessage()) }
    }
}
// one worker for all scripts; a bridge that was updated while Fiji runs is loaded anew
def key = 'fijibridge ' + bridge.path
synchronized (IJ) {
    def loaded = IJ.getProperty(key)
    if (loaded?.changed != bridge.lastModified()) {
        loaded?.bridge?.close()
        def shell = new GroovyShell(this.class.classLoader, new Binding(python: python))
        IJ.setProperty(key, [changed: bridge.lastModified(), bridge: shell.evaluate(bridge)])
    }
}
IJ.getProperty(key).bridge.call(verb, version, binding)
