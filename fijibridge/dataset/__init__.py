"""Data sets: folders of images with a description of their files.

The description is the file ``dataset.toml`` in the folder::

    format = 1
    image = "*_image.png"            # pattern of the images; the star stands for the image's name
    labels = "{name}_labels.tif"     # label images: 0 = background or membrane, others = cells
    region = "{name}_roi.png"        # optional: non-zero where the truth is known
    provenance = "manual"            # origin of the labels: manual, corrected, algorithm
    pixel_size = 0.5                 # optional: one for y and x, or { z = 2.0, y = 0.5, x = 0.5 }
    unit = "um"
    membranes = "dark"               # or "bright"

    [split]
    test = ["15", "18", "21", "29"]  # names of images; all others are for training
    validation = []

Patterns of labels and regions contain ``{name}``, or ``*`` with the same meaning, because each image has its own files.
Label and region files are read only for training and matching; predictions do not need them. All keys are explained in
``docs/dataset.md``.
"""

from fijibridge.dataset.checks.check import check_dataset
from fijibridge.dataset.checks.findings import Finding, together
from fijibridge.dataset.checks.leaks import leaks
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.description import SPLITS, Description, Split
from fijibridge.dataset.guess.guess import Guess, describe_dataset
from fijibridge.dataset.item import Item
from fijibridge.dataset.toml import FILE_NAME, as_toml, read_description, schema, write_description
from fijibridge.dataset.writer import add_to_dataset, save_dataset
from fijibridge.renames import rename_attributes

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
    "check_dataset",
    "describe_dataset",
    "leaks",
    "read_description",
    "save_dataset",
    "schema",
    "together",
    "write_description",
]

rename_attributes(
    __name__,
    {
        "check": "dataset:check_dataset",
        "describe": "dataset:describe_dataset",
    },
)
