"""Images: :class:`xarray.DataArray` with named axes, pixel sizes and units.

Dimensions are a subset of ``t c z y x`` in that order (OME order, in lower case); missing axes are left out. Every axis
except ``c`` has a coordinate, the position of each pixel's *centre* in ``unit``. Coordinates are computed from a pixel
size and an origin, so that a crop keeps its position::

    >>> import numpy as np
    >>> image = as_image(np.zeros((4, 6)), pixel_size=0.5, unit="um")
    >>> crop = image[2:, 3:]
    >>> origin(crop), pixel_size(crop)
    ({'y': 1.0, 'x': 1.5}, {'y': 0.5, 'x': 0.5})

The pixel size of an axis that the array lacks (such as the voxel depth of a single plane) is kept as a scalar
coordinate.

Only this package depends on the order of axes. It also knows the axis names that other libraries use: ``t pln row col
ch`` in pyimagej's ``ij.py.from_java``, ``TCZYX`` in bioio, ``Channel`` and the like.
"""

from fijibridge.image.axes import (
    DIMS,
    RGB,
    SPATIAL,
    Array,
    channel_names,
    in_order,
    last_dims,
    plain_attrs,
    refuse_channels_last,
    with_our_axes,
)
from fijibridge.image.calibration import (
    MICROMETRES,
    PIXEL,
    PerAxis,
    factor_to,
    in_one_unit,
    origin,
    pixel_size,
    read_calibration,
    same_shape,
    time_unit,
    unit,
    usual_unit,
)
from fijibridge.image.conversion import ImageT, as_image, first_channel, like, single_channel, values
from fijibridge.image.labels import as_cells, as_labels, as_truth
from fijibridge.image.pixel_types import imagej_pixels
from fijibridge.renames import rename_attributes

__all__ = [
    "DIMS",
    "MICROMETRES",
    "PIXEL",
    "RGB",
    "SPATIAL",
    "Array",
    "ImageT",
    "PerAxis",
    "as_cells",
    "as_image",
    "as_labels",
    "as_truth",
    "channel_names",
    "factor_to",
    "first_channel",
    "imagej_pixels",
    "in_one_unit",
    "in_order",
    "last_dims",
    "like",
    "origin",
    "pixel_size",
    "plain_attrs",
    "read_calibration",
    "refuse_channels_last",
    "same_shape",
    "single_channel",
    "time_unit",
    "unit",
    "usual_unit",
    "values",
    "with_our_axes",
]

rename_attributes(__name__, {"LookupTable": "imagej.lookup_table:LookupTable"})
