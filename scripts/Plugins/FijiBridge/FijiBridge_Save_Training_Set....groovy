// Add an image and its cells to a folder that a network is trained on, with its description, dataset.toml.
#@ ImagePlus (label="Image", description="the image to learn from") image
#@ String (label="Cells", description="its cells: a label image, the areas in the ROI Manager, or the image's overlay. The title of an open label image, or 'ROI Manager', or 'overlay' for the areas drawn there") cells
#@ File (label="Folder", description="gets them, beside those that it has; made if it is not there", style="directory") folder
#@ String (label="Name", description="of the image in the folder; its title if left out", required=false) name
#@ String (label="Split", description="what the image is for", choices={"train", "validation", "test"}, required=false, value="train") split
#@ String (label="Region", description="mask: non-zero where cells were drawn; everywhere if left out. The title of an open image", required=false) region
#@ String (label="Provenance", description="who made the cells", choices={"manual", "corrected", "algorithm", "unknown"}, required=false, value="manual") provenance
#@ String (label="If there is one", description="what to do if that image is there already", choices={"refuse", "replace"}, required=false, value="refuse") existing

import ij.IJ

// Made by fijibridge from its verb save_training_set: "fijibridge install-scripts" writes python and bridge.
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
def values = ['image', 'cells', 'folder', 'name', 'split', 'region', 'provenance', 'existing'].collectEntries { [it, binding.getVariable(it)] }
IJ.getProperty(key).bridge.perform('save_training_set', version, ['image', 'region'], ['cells'], values)
