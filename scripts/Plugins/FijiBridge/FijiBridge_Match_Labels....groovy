// Match predicted cells to the true ones: matched, GT, predicted, image, precision, recall, F1 ...
#@ String (label="True", description="the true cells. The title of an open label image, or 'ROI Manager', or 'overlay' for the areas drawn there") true
#@ String (label="Predicted", description="the predicted cells. The title of an open label image, or 'ROI Manager', or 'overlay' for the areas drawn there") predicted
#@ Double (label="Thresh", description="a pair of cells with at least this IoU is a match", min=0, max=1, required=false, value=0.5) thresh
#@ String (label="Region", description="mask: non-zero where the truth is known; everywhere if left out. The title of an open image", required=false) region
#@ Integer (label="Min size (px)", description="leave out smaller cells, true and predicted", min=0, required=false, value=0) min_size
#@ String (label="Over", description="image that gets the outlines; the predicted cells if left out. The title of an open image", required=false) over
#@ String (label="Table", description="name of the table that gets a row for this image", required=false, value="Matches") table

import ij.IJ

// Made by fijibridge from its verb match_labels: "fijibridge install-scripts" writes python and bridge.
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
def values = ['true', 'predicted', 'thresh', 'region', 'min_size', 'over', 'table'].collectEntries { [it, binding.getVariable(it)] }
IJ.getProperty(key).bridge.perform('match_labels', version, ['region', 'over'], ['true', 'predicted'], values)
