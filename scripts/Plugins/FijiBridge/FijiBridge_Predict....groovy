// Compute the class probabilities of an image, such as membrane or not.
#@ ImagePlus (label="Image", description="the image to be predicted") image
#@ File (label="Model", description="model file, or the folder of a run", style="both") model
#@ Boolean (label="Flips", description="mean over mirrored images: 4 times the work, 8 times in 3D", required=false, value=false) flips
#@ String (label="Border", description="beyond the image: what the network learnt to see there, the mirrored image; valid: nothing, smaller", choices={"as trained", "mirror", "valid"}, required=false, value="as trained") border
#@ String (label="Tile (px)", description="side of the tiles, the largest that fit if left out: memory, not the result", required=false) tile
#@ String (label="Precision", description="of the numbers in the network; bf16: less memory", choices={"32", "bf16"}, required=false, value="32") precision
#@ String (label="Device", description="cpu, cuda, cuda:1, mps; the best there is if left out", required=false) device

import ij.IJ

// Made by fijibridge from its verb predict: "fijibridge install-scripts" writes python and bridge.
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
def values = ['image', 'model', 'flips', 'border', 'tile', 'precision', 'device'].collectEntries { [it, binding.getVariable(it)] }
IJ.getProperty(key).bridge.perform('predict', version, ['image'], [], values)
