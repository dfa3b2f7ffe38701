// Labels and measures the cells of the active image with a model: the verbs of FijiBridge in Groovy.
#@ File (label="Model") model
#@ ImagePlus imp

import ij.IJ
import ij.measure.ResultsTable

IJ.run("FijiBridge Label Cells...", "image=[${imp.getTitle()}] model=[${model}] threshold=0.5")
def cells = IJ.getImage().getTitle()
IJ.run("FijiBridge Measure Cells...", "cells=[${cells}] image=[${imp.getTitle()}]")
def areas = ResultsTable.getResultsTable().getColumn("Area")
IJ.log("${areas.length} cells, mean area ${areas.sum() / areas.length}")
IJ.selectWindow(imp.getID())  // active again, for the next run
