// Train a U-Net on the membranes of a folder's training images.
#@ File (label="Image folder", description="folder of images with a dataset.toml", style="directory") folder
#@ File (label="Output folder", description="folder for the model and the record of the run", style="directory") out
#@ File (label="Start", description="model or run to go on from, with these images; a new network if left out", style="both", required=false) start
#@ Integer (label="Epochs", description="at most; 0 leaves the network as it is", min=0, required=false, value=30) epochs
#@ Integer (label="Batches", description="batches in an epoch", min=1, required=false, value=50) batches
#@ Integer (label="Batch", description="patches in a batch, of all devices together", min=1, required=false, value=8) batch
#@ String (label="Patch (px)", description="side of a patch, or sides such as 16,128,128; 128, and 16 of z, if left out", required=false) patch
#@ Double (label="Membrane width (px)", description="of the membranes that are drawn between cells; the network's is channels", min=1, required=false, value=3) width
#@ String (label="Target", description="what is learnt: classes (pixel labels), labels (membranes between cells)", choices={"auto", "classes", "labels"}, required=false, value="auto") target
#@ Integer (label="Depth", description="poolings of the U-Net", min=1, required=false, value=3) depth
#@ Integer (label="Channels", description="of the U-Net's first level; each pooling doubles them", min=1, required=false, value=32) channels
#@ Integer (label="Dimensions", description="2 for planes, 3 for volumes", min=2, max=3, required=false, value=2) dims
#@ Double (label="Learning rate", description="largest learning rate", min=0, required=false, value=0.003) lr
#@ String (label="Sampling", description="where patches lie: positions, images, membranes, grid ...", required=false, value="positions") sampling
#@ Boolean (label="Augment", description="transform patches at random", required=false, value=true) augment
#@ String (label="Metric", description="what says which epoch is best: the loss, or F1 of cells", choices={"val_loss", "val_f1"}, required=false, value="val_loss") metric
#@ String (label="Patience", description="stop after so many epochs without a better metric on validation images", required=false) patience
#@ String (label="Precision", description="of the numbers in the network", choices={"auto", "32", "bf16", "16"}, required=false, value="auto") precision
#@ Boolean (label="Forecast", description="say before what it will take, from a short trial", required=false, value=true) forecast
#@ Integer (label="Seed", description="of the first weights, patches and augmentation", min=0, required=false, value=0) seed
#@ String (label="If there is one", description="what to do with a run that is in the folder already", choices={"refuse", "resume", "replace"}, required=false, value="refuse") existing
#@ String (label="Device", description="cpu, cuda, cuda:1, mps; the best there is if left out", required=false) device

import ij.IJ

// Made by fijibridge from its verb train_u_net: "fijibridge install-scripts" writes python and bridge.
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
def values = ['folder', 'out', 'start', 'epochs', 'batches', 'batch', 'patch', 'width', 'target', 'depth', 'channels', 'dims', 'lr', 'sampling', 'augment', 'metric', 'patience', 'precision', 'forecast', 'seed', 'existing', 'device'].collectEntries { [it, binding.getVariable(it)] }
IJ.getProperty(key).bridge.perform('train_u_net', version, [], [], values)
