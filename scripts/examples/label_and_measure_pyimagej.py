# Labels and measures the cells of the active image with a model, in the script editor's language "Python (pyimagej)":
# this is the Python that started Fiji, with all that is in it.
#@ File (label="Model") model
#@ ImagePlus imp

import fijibridge as fb

fiji = fb.current()
title = str(imp.getTitle())
cells = fb.label_cells(fb.predict(str(model), fiji.image(title)), "watershed", threshold=0.5)
fiji.show_labels(cells, name=f"{title} cells", over=title)
table = fiji.measure(cells, title)
fiji.log(f"{len(table)} cells, mean area {table['Area'].mean()}")
fiji.select(title)  # active again, for the next run
