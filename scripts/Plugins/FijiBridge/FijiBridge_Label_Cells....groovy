// Find the cells between membranes, in a prediction or, with a model, in an image.
#@ ImagePlus (label="Image", description="membrane probability, as Predict makes it; with a model, the image itself") image
#@ File (label="Model", description="model file, or the folder of a run, to predict the image with first", style="both", required=false) model
#@ String (label="Membrane", description="the channel with the membranes: its name, or its number from 1", required=false, value="membrane") membrane
#@ String (label="Method", description="threshold: connected regions; watershed: closes gaps too; minima, seeded: noise, stacks; agglomeration: weighs whole membranes", choices={"threshold", "watershed", "minima", "seeded", "agglomeration"}, required=false, value="watershed") method
#@ Double (label="Threshold", description="from this probability on it is membrane", min=0, max=1, required=false, value=0.5) threshold
#@ String (label="Smoothing sigma (px)", description="smoothing; not of threshold", required=false) sigma
#@ String (label="Least dynamics h (px)", description="how much wider than its necks a cell must be; of minima how much deeper, a probability", required=false) h
#@ String (label="Beta", description="of agglomeration: mean probability from which on a membrane separates", required=false) beta
#@ Double (label="Min size", description="leave out smaller regions, in the unit below", min=0, required=false, value=0) min_size
#@ String (label="Max size", description="take out larger regions, in the unit below", required=false) max_size
#@ String (label="Unit", description="of the sizes", choices={"px", "um2", "um3"}, required=false, value="px") unit
#@ Boolean (label="Grow", description="grow the cells until a gap of 1 px is left", required=false, value=true) grow
#@ String (label="Grow by (px)", description="grow at most so far", required=false) grow_by
#@ Boolean (label="Fill holes", description="fill what is enclosed by one cell", required=false, value=true) fill_holes
#@ String (label="Border", description="cells that touch the border of the image", choices={"keep", "remove"}, required=false, value="keep") border
#@ Boolean (label="Outlines", description="draw the cells over the image too", required=false, value=true) outlines
#@ Boolean (label="Add to ROI Manager", description="put them into the ROI Manager too", required=false, value=false) manager
#@ String (label="Device", description="cpu, cuda, cuda:1, mps; the best there is if left out", required=false) device

import ij.IJ

// Made by fijibridge from its verb label_cells: "fijibridge install-scripts" writes python and bridge.
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
def values = ['image', 'model', 'membrane', 'method', 'threshold', 'sigma', 'h', 'beta', 'min_size', 'max_size', 'unit', 'grow', 'grow_by', 'fill_holes', 'border', 'outlines', 'manager', 'device'].collectEntries { [it, binding.getVariable(it)] }
IJ.getProperty(key).bridge.perform('label_cells', version, ['image'], [], values)
