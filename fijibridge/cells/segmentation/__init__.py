"""Segmentation of a membrane prediction into cells, as a whole or tile by tile, and tuning of its parameters.

Read ``labelling`` first: it checks the ``parameters`` and finds cells with one of the ``methods``. The methods build on
``basins``, ``seeds``, ``flooding`` and ``linkage``; ``regions`` decides which cells are kept. ``tiled`` applies the
same steps tile by tile, ``tuning`` tries many parameters, and ``from_membranes`` labels the cells between membranes
that were drawn by hand.
"""
