"""A folder of images and the description that says what they are.

The description, ``dataset.toml``, lies in the folder beside the images::

    format = 1
    image = "*_image.png"            # intensities; what the star stands for names the image
    labels = "{name}_labels.tif"     # its cells: 0 = background or membrane, other numbers = ids; or "*_labels.tif"
    region = "{name}_roi.png"        # optional: non-zero where the truth is known
    provenance = "manual"            # who made the labels: manual, corrected, algorithm
    pixel_size = 0.5                 # optional: of y and x, or { z = 2.0, y = 0.5, x = 0.5 }
    unit = "um"
    membranes = "dark"               # or "bright"

    [split]
    test = ["15", "18", "21", "29"]  # names; all others are for training
    validation = []

A pattern of labels or regions holds ``{name}``, or ``*`` in the same meaning: each image has its own. These files are
needed where they are read, to train and to match; a prediction does without. All that it can say: ``docs/dataset.md``.
"""

from fijibridge.dataset.checks.check import check
from fijibridge.dataset.checks.findings import Finding, together
from fijibridge.dataset.checks.leaks import leaks
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.description import SPLITS, Description, Split
from fijibridge.dataset.guess.guess import Guess, describe
from fijibridge.dataset.item import Item
from fijibridge.dataset.toml import FILE_NAME, as_toml, read_description, schema, write_description
from fijibridge.dataset.writer import add_to_dataset, save_dataset

__all__ = [
    "FILE_NAME",
    "SPLITS",
    "Dataset",
    "Description",
    "Finding",
    "Guess",
    "Item",
    "Split",
    "add_to_dataset",
    "as_toml",
    "check",
    "describe",
    "leaks",
    "read_description",
    "save_dataset",
    "schema",
    "together",
    "write_description",
]
