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
    help: '<html><h2>Train U-Net</h2><p>Train a U-Net on the membranes of a folder&#x27;s training images.</p><p>From the menu the training runs in the background, and Stop Training ends it; a macro waits for its end. However it\nends, the folder has the model and the record; existing = resume continues an interrupted run.</p><table cellpadding=3 width=640><tr><td valign=top><b>Image folder</b></td><td valign=top><tt>folder</tt></td><td>folder of images with a dataset.toml</td></tr><tr><td valign=top><b>Output folder</b></td><td valign=top><tt>out</tt></td><td>folder for the model and the record of the run</td></tr><tr><td valign=top><b>Start</b></td><td valign=top><tt>start</tt></td><td>model or run to continue with these images; a new network if left out</td></tr><tr><td valign=top><b>Epochs</b></td><td valign=top><tt>epochs</tt></td><td>largest number of epochs; 0 leaves the network unchanged; a whole number of at least 0; default 50</td></tr><tr><td valign=top><b>Patch</b></td><td valign=top><tt>patch</tt></td><td>side of a patch: one number for all axes, or one for each such as 16,128,128; 128, and 16 for z, if left out</td></tr><tr><td valign=top><b>Batch</b></td><td valign=top><tt>batch</tt></td><td>patches in a batch, of all devices together; a whole number of at least 1; default 8</td></tr><tr><td valign=top><b>Batches</b></td><td valign=top><tt>batches</tt></td><td>batches in an epoch; a whole number of at least 1; default 50</td></tr><tr><td valign=top><b>Target</b></td><td valign=top><tt>target</tt></td><td>target made from a data set: classes, its pixel labels; labels, membranes drawn between its cell labels; auto, the pixel labels if there are any; default auto</td></tr><tr><td valign=top><b>Membrane width</b></td><td valign=top><tt>membrane_width</tt></td><td>width of the membranes drawn between cell labels; a number of at least 1 (px); default 3</td></tr><tr><td valign=top><b>Sampling</b></td><td valign=top><tt>sampling</tt></td><td>rule by which patches are placed; default positions</td></tr><tr><td valign=top><b>Augment</b></td><td valign=top><tt>augment</tt></td><td>transform each patch at random; default true</td></tr><tr><td valign=top><b>Learning rate</b></td><td valign=top><tt>lr</tt></td><td>largest learning rate; a number of at least 0; default 0.003</td></tr><tr><td valign=top><b>Precision</b></td><td valign=top><tt>precision</tt></td><td>numbers in the network: 32 bits, or mixed with bf16 or 16; auto is bf16 on a GPU that has it, else 32; default auto</td></tr><tr><td valign=top><b>Metric</b></td><td valign=top><tt>metric</tt></td><td>metric that decides which epoch is best: val_loss, the lowest; val_f1, the highest F1 of the cells of the whole validation images at IoU 0.5; default val_loss</td></tr><tr><td valign=top><b>Patience</b></td><td valign=top><tt>patience</tt></td><td>stop after this many epochs without a better metric; a whole number of at least 0</td></tr><tr><td valign=top><b>Forecast</b></td><td valign=top><tt>forecast</tt></td><td>forecast time and memory from a trial of about 2 s before the first step; default true</td></tr><tr><td valign=top><b>Seed</b></td><td valign=top><tt>seed</tt></td><td>seed of first weights, patches and augmentation; a whole number of at least 0; default 0</td></tr><tr><td valign=top><b>Depth</b></td><td valign=top><tt>depth</tt></td><td>poolings of the U-Net; a whole number of at least 1; default 3</td></tr><tr><td valign=top><b>Channels</b></td><td valign=top><tt>channels</tt></td><td>channels of the U-Net&#x27;s first level; each pooling doubles them; a whole number of at least 1; default 32</td></tr><tr><td valign=top><b>Dimensions</b></td><td valign=top><tt>dims</tt></td><td>2 for planes, 3 for volumes; a whole number from 2 to 3; default 2</td></tr><tr><td valign=top><b>Existing run</b></td><td valign=top><tt>existing</tt></td><td>whether to resume or replace a run in the output folder; default refuse</td></tr><tr><td valign=top><b>Device</b></td><td valign=top><tt>device</tt></td><td>cpu, cuda, cuda:1, mps; the fastest available if left out</td></tr></table><p>In a macro: <tt>run(&quot;FijiBridge Train U-Net...&quot;, &quot;folder=[Image folder] out=[Output folder]&quot;);</tt></p>',
    parameters: [
        [name: 'folder', kind: 'folder', title: 'Image folder', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'folder of images with a dataset.toml'],
        [name: 'out', kind: 'new folder', title: 'Output folder', unit: '', usual: null, optional: false, wide: true, choices: [], told: 'folder for the model and the record of the run'],
        [name: 'start', kind: 'file', title: 'Start', unit: '', usual: '', optional: true, wide: true, choices: [], told: 'model or run to continue with these images; a new network if left out'],
        [name: 'epochs', kind: 'integer', title: 'Epochs', unit: '', usual: '50', optional: false, wide: false, choices: [], told: 'largest number of epochs; 0 leaves the network unchanged; a whole number of at least 0; default 50'],
        [name: 'patch', kind: 'text', title: 'Patch', unit: 'px', usual: '', optional: true, wide: false, choices: [], told: 'side of a patch: one number for all axes, or one for each such as 16,128,128; 128, and 16 for z, if left out'],
        [name: 'batch', kind: 'integer', title: 'Batch', unit: '', usual: '8', optional: false, wide: false, choices: [], told: 'patches in a batch, of all devices together; a whole number of at least 1; default 8'],
        [name: 'batches', kind: 'integer', title: 'Batches', unit: '', usual: '50', optional: false, wide: false, choices: [], told: 'batches in an epoch; a whole number of at least 1; default 50'],
        [name: 'target', kind: 'choice', title: 'Target', unit: '', usual: 'auto', optional: false, wide: false, choices: ['auto', 'classes', 'labels'], told: 'target made from a data set: classes, its pixel labels; labels, membranes drawn between its cell labels; auto, the pixel labels if there are any; default auto'],
        [name: 'membrane_width', kind: 'number', title: 'Membrane width', unit: 'px', usual: '3', optional: false, wide: false, choices: [], told: 'width of the membranes drawn between cell labels; a number of at least 1 (px); default 3'],
        [name: 'sampling', kind: 'choice', title: 'Sampling', unit: '', usual: 'positions', optional: false, wide: false, choices: ['positions', 'images', 'locations', 'weighted', 'membranes', 'grid'], told: 'rule by which patches are placed; default positions'],
        [name: 'augment', kind: 'flag', title: 'Augment', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'transform each patch at random; default true'],
        [name: 'lr', kind: 'number', title: 'Learning rate', unit: '', usual: '0.003', optional: false, wide: false, choices: [], told: 'largest learning rate; a number of at least 0; default 0.003'],
        [name: 'precision', kind: 'choice', title: 'Precision', unit: '', usual: 'auto', optional: false, wide: false, choices: ['auto', '32', 'bf16', '16'], told: 'numbers in the network: 32 bits, or mixed with bf16 or 16; auto is bf16 on a GPU that has it, else 32; default auto'],
        [name: 'metric', kind: 'choice', title: 'Metric', unit: '', usual: 'val_loss', optional: false, wide: false, choices: ['val_loss', 'val_f1'], told: 'metric that decides which epoch is best: val_loss, the lowest; val_f1, the highest F1 of the cells of the whole validation images at IoU 0.5; default val_loss'],
        [name: 'patience', kind: 'integer', title: 'Patience', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'stop after this many epochs without a better metric; a whole number of at least 0'],
        [name: 'forecast', kind: 'flag', title: 'Forecast', unit: '', usual: 'true', optional: false, wide: false, choices: [], told: 'forecast time and memory from a trial of about 2 s before the first step; default true'],
        [name: 'seed', kind: 'integer', title: 'Seed', unit: '', usual: '0', optional: false, wide: false, choices: [], told: 'seed of first weights, patches and augmentation; a whole number of at least 0; default 0'],
        [name: 'depth', kind: 'integer', title: 'Depth', unit: '', usual: '3', optional: false, wide: false, choices: [], told: 'poolings of the U-Net; a whole number of at least 1; default 3'],
        [name: 'channels', kind: 'integer', title: 'Channels', unit: '', usual: '32', optional: false, wide: false, choices: [], told: 'channels of the U-Net\'s first level; each pooling doubles them; a whole number of at least 1; default 32'],
        [name: 'dims', kind: 'integer', title: 'Dimensions', unit: '', usual: '2', optional: false, wide: false, choices: [], told: '2 for planes, 3 for volumes; a whole number from 2 to 3; default 2'],
        [name: 'existing', kind: 'choice', title: 'Existing run', unit: '', usual: 'refuse', optional: false, wide: false, choices: ['refuse', 'resume', 'replace'], told: 'whether to resume or replace a run in the output folder; default refuse'],
        [name: 'device', kind: 'text', title: 'Device', unit: '', usual: '', optional: true, wide: false, choices: [], told: 'cpu, cuda, cuda:1, mps; the fastest available if left out'],
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
