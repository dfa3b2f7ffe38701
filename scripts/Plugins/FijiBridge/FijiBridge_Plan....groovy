// Say what a training on a folder will do and take: patches, coverage, memory, time. Nothing is trained.
#@ File (label="Image folder", description="folder of images with a dataset.toml", style="directory") folder
#@ String (label="Patch (px)", description="side of a patch, or sides such as 16,128,128; chosen if left out", required=false) patch
#@ String (label="Stride (px)", description="from patch to patch, one number or one by axis; chosen if left out", required=false) stride
#@ String (label="Batch", description="patches in a batch; 8, or with a limit of memory the most that fit", required=false) batch
#@ String (label="Batches", description="batches in an epoch, at random places; the grid of the stride if left out", required=false) batches
#@ Integer (label="Epochs", description="at most; 0 leaves the network as it is", min=0, required=false, value=30) epochs
#@ Integer (label="Depth", description="poolings of the U-Net", min=1, required=false, value=3) depth
#@ Integer (label="Channels", description="of the U-Net's first level; each pooling doubles them", min=1, required=false, value=32) channels
#@ Integer (label="Dimensions", description="2 for planes, 3 for volumes", min=2, max=3, required=false, value=2) dims
#@ String (label="Memory", description="a limit such as 4GB that batch and patch are chosen to keep", required=false) memory
#@ String (label="Precision", description="of the numbers in the network", choices={"auto", "32", "bf16", "16"}, required=false, value="auto") precision
#@ Boolean (label="Probe", description="take a few real steps, for a forecast of time and memory", required=false, value=true) probe
#@ String (label="Device", description="cpu, cuda, cuda:1, mps; the best there is if left out", required=false) device

import ij.IJ

// Made by fijibridge from its verb plan: "fijibridge install-scripts" writes python and bridge.
def version = '', python = '', bridge = new File('')
if (!bridge.isFile()) {
    def message = python
        ? "the Python environment of FijiBridge is gone, there is no ${bridge}: install fijibridge again, and run "
        : 'this script was copied, but it must be installed, to know its Python: run '
    message += "'fijibridge install-scripts PATH_TO_FIJI'"
    IJ.error('FijiBridge', message)
    throw new RuntimeException(message)
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
def values = ['folder', 'patch', 'stride', 'batch', 'batches', 'epochs', 'depth', 'channels', 'dims', 'memory', 'precision', 'probe', 'device'].collectEntries { [it, binding.getVariable(it)] }
IJ.getProperty(key).bridge.perform('plan', version, [], [], values)
