// Labels and measures the cells of the active image with a model: the verbs of FijiBridge in JavaScript.
#@ File (label="Model") model
#@ ImagePlus imp

importClass(Packages.ij.IJ);
importClass(Packages.ij.measure.ResultsTable);

IJ.run("FijiBridge Label Cells...", "image=[" + imp.getTitle() + "] model=[" + model + "] threshold=0.5");
var cells = IJ.getImage().getTitle();
IJ.run("FijiBridge Measure Cells...", "cells=[" + cells + "] image=[" + imp.getTitle() + "]");
var areas = ResultsTable.getResultsTable().getColumn("Area"), sum = 0;
for (var i = 0; i < areas.length; i++) sum += areas[i];
IJ.log(areas.length + " cells, mean area " + sum / areas.length);
IJ.selectWindow(imp.getID());  // active again, for the next run
