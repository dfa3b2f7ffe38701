"""Cells out of a membrane prediction: found, grown, tuned, and stitched over tiles.

``labelling`` is where one starts to read: a ``recipe`` says what was asked for, ``partition`` finds and grows by it
(``basins``, ``agglomeration``, ``growing``), ``regions`` decides which cells stay; ``stitching`` does the same tile by
tile, ``tuning`` over many recipes.
"""
