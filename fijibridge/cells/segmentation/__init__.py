"""Cells out of a membrane prediction: found, grown, tuned, and stitched over tiles.

Read ``labelling`` first: it finds cells by one of the ``methods``, with ``parameters`` checked before. Methods build on
``basins``, ``seeds``, ``flooding`` and ``linkage``; ``regions`` decides which cells stay. ``tiled`` takes the same
steps tile by tile, ``tuning`` tries many parameters, and ``from_membranes`` makes cells of membranes drawn by hand.
"""
