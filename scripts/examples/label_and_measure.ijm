// Labels and measures the cells of the active image with a model: the verbs of FijiBridge in a macro.
#@ File (label="Model") model

image = getTitle();
run("FijiBridge Label Cells...", "image=[" + image + "] model=[" + model + "] threshold=0.5");
cells = getTitle();
run("FijiBridge Measure Cells...", "cells=[" + cells + "] image=[" + image + "]");
print(nResults + " cells, mean area " + mean_area());
selectImage(image);  // active again, for the next run

function mean_area() {
    sum = 0;
    for (row = 0; row < nResults; row++)
        sum += getResult("Area", row);
    return sum / nResults;
}
