// Measure cells with ImageJ's own Measure, a row each in the table Results, label = id of the cell.
#@ String (label="Cells", description="the cells to be measured. The title of an open label image, or 'ROI Manager', or 'overlay' for the areas drawn there") cells
#@ ImagePlus (label="Image", description="where they are measured") image
#@ String (label="Measurements", description="names of Analyze > Set Measurements, with spaces between", required=false, value="area mean std_dev min_max centroid perimeter ellipse shape feret integrated") measurements
#@ String (label="Channel", description="to measure in, from 1; the one that is shown if left out", required=false) channel

import ij.IJ

// Made by fijibridge from its verb measure_cells: "fijibridge install-scripts" writes python and bridge.
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
def values = ['cells', 'image', 'measurements', 'channel'].collectEntries { [it, binding.getVariable(it)] }
IJ.getProperty(key).bridge.perform('measure_cells', version, ['image'], ['cells'], values)
