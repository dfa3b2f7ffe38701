# Labels and measures the cells of the active image with a model: the verbs of FijiBridge in Jython.
#@ File (label="Model") model
#@ ImagePlus imp

from ij import IJ
from ij.measure import ResultsTable

IJ.run("FijiBridge Label Cells...", "image=[%s] model=[%s] threshold=0.5" % (imp.getTitle(), model))
cells = IJ.getImage().getTitle()
IJ.run("FijiBridge Measure Cells...", "cells=[%s] image=[%s]" % (cells, imp.getTitle()))
areas = ResultsTable.getResultsTable().getColumn("Area")
IJ.log("%d cells, mean area %s" % (len(areas), sum(areas) / len(areas)))
IJ.selectWindow(imp.getID())  # active again, for the next run
