"""Connect Fiji and PyTorch: train a U-Net on images and ROIs from Fiji, and return cells and match statistics.

Public names are loaded at first use, so importing this package neither starts a JVM nor loads torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fijibridge import renames
from fijibridge.version import __version__

_HOME = {
    "Augmentation": "nn.augmentation",
    "Dataset": "dataset",
    "Description": "dataset",
    "Fiji": "fiji.session.fiji",
    "FijiBridgeError": "errors",
    "IGNORE": "cells.targets.from_labels",
    "Model": "nn.model",
    "Normalisation": "nn.normalisation",
    "PatchSampler": "nn.patches",
    "SavedPatches": "nn.patches",
    "save_patches": "nn.patches",
    "Roi": "rois",
    "Run": "nn.training",
    "Sample": "nn.patches",
    "Settings": "nn.training",
    "UNet": "nn.unet",
    "add_to_dataset": "dataset",
    "affinity_target": "cells.targets.from_labels",
    "as_image": "image",
    "average_precision": "cells.matching.matches",
    "ceiling": "cells.scaling.ceiling",
    "changed_cells": "cells.corrections",
    "check_dataset": "dataset",
    "class_target": "cells.targets.from_labels",
    "class_weights": "cells.targets.weights",
    "compare_labels": "cells.matching.agreement",
    "compare_predictions": "reports.predictions",
    "compare_runs": "reports.comparison",
    "compare_match_tables": "cells.corrections",
    "current": "fiji.session.fiji",
    "describe_dataset": "dataset",
    "diagnose": "cells.diagnosis.overview",
    "distance_target": "cells.targets.from_labels",
    "downscale": "cells.scaling.resampling",
    "error_map": "cells.diagnosis.pixel_errors",
    "export_model": "nn.export",
    "grow_labels": "cells.segmentation.flooding",
    "imagej_info": "imagej.metadata",
    "label_cells": "cells.segmentation.labelling",
    "label_cells_tiled": "cells.segmentation.tiled",
    "labels_from_membranes": "cells.segmentation.from_membranes",
    "labels_to_rois": "rois",
    "match_labels": "cells.matching.matches",
    "match_table": "cells.matching.table",
    "membrane_target": "cells.targets.from_labels",
    "pixel_size": "image",
    "plan": "nn.planning",
    "predict": "nn.prediction",
    "predict_files": "nn.prediction",
    "read_image": "files",
    "read_record": "record",
    "read_rois": "rois",
    "receptive_field": "nn.planning",
    "report_run": "reports.run",
    "rois_to_labels": "rois",
    "rois_to_mask": "rois",
    "save_dataset": "dataset",
    "split_parts": "cells.corrections",
    "synthetic_epithelium": "cells.synthetic",
    "thumbnail": "displays",
    "train": "nn.training",
    "tune_segmentation": "cells.segmentation.tuning",
    "verb": "verbs",
    "upscale": "cells.scaling.resampling",
    "weight_errors": "nn.patches",
    "weight_map": "cells.targets.weights",
    "write_image": "files",
    "write_rois": "rois",
}

_RENAMED = {
    "Agreement": "cells.matching.agreement:Agreement",
    "Comparison": "reports.comparison:Comparison",
    "Diagnosis": "cells.diagnosis.overview:Diagnosis",
    "Ending": "nn.training:Ending",
    "Epithelium": "cells.synthetic:Epithelium",
    "Forecast": "nn.planning:Forecast",
    "Matching": "cells.matching.matches:Matching",
    "Measurement": "nn.planning:Measurement",
    "Plan": "nn.planning:Plan",
    "ReceptiveField": "nn.planning:ReceptiveField",
    "Record": "record:Record",
    "Tuning": "cells.segmentation.tuning:Tuning",
    "check": ":check_dataset",
    "compare_tables": ":compare_match_tables",
    "confirm_receptive_field": "nn.planning:confirm_receptive_field",
    "describe": ":describe_dataset",
    "error_worth": ":weight_errors",
    "fit_batch": "nn.planning:fit_batch",
    "fit_patch": "nn.planning:fit_patch",
    "forecast_training": "nn.planning:forecast_training",
    "list_changes": ":changed_cells",
    "separate_parts": ":split_parts",
}
"""Former public names, from version 0.1: renamed (``":new_name"``) or moved to a module (``"module:name"``)."""

__all__ = [
    "IGNORE",
    "Augmentation",
    "Dataset",
    "Description",
    "Fiji",
    "FijiBridgeError",
    "Model",
    "Normalisation",
    "PatchSampler",
    "Roi",
    "Run",
    "Sample",
    "SavedPatches",
    "Settings",
    "UNet",
    "__version__",
    "add_to_dataset",
    "affinity_target",
    "as_image",
    "average_precision",
    "ceiling",
    "changed_cells",
    "check_dataset",
    "class_target",
    "class_weights",
    "compare_labels",
    "compare_match_tables",
    "compare_predictions",
    "compare_runs",
    "current",
    "describe_dataset",
    "diagnose",
    "distance_target",
    "downscale",
    "error_map",
    "export_model",
    "grow_labels",
    "imagej_info",
    "label_cells",
    "label_cells_tiled",
    "labels_from_membranes",
    "labels_to_rois",
    "match_labels",
    "match_table",
    "membrane_target",
    "pixel_size",
    "plan",
    "predict",
    "predict_files",
    "read_image",
    "read_record",
    "read_rois",
    "receptive_field",
    "report_run",
    "rois_to_labels",
    "rois_to_mask",
    "save_dataset",
    "save_patches",
    "split_parts",
    "synthetic_epithelium",
    "thumbnail",
    "train",
    "tune_segmentation",
    "upscale",
    "verb",
    "weight_errors",
    "weight_map",
    "write_image",
    "write_rois",
]

if TYPE_CHECKING:
    from fijibridge.cells.corrections import changed_cells, compare_match_tables, split_parts
    from fijibridge.cells.diagnosis.overview import diagnose
    from fijibridge.cells.diagnosis.pixel_errors import error_map
    from fijibridge.cells.matching.agreement import compare_labels
    from fijibridge.cells.matching.matches import average_precision, match_labels
    from fijibridge.cells.matching.table import match_table
    from fijibridge.cells.scaling.ceiling import ceiling
    from fijibridge.cells.scaling.resampling import downscale, upscale
    from fijibridge.cells.segmentation.flooding import grow_labels
    from fijibridge.cells.segmentation.from_membranes import labels_from_membranes
    from fijibridge.cells.segmentation.labelling import label_cells
    from fijibridge.cells.segmentation.tiled import label_cells_tiled
    from fijibridge.cells.segmentation.tuning import tune_segmentation
    from fijibridge.cells.synthetic import synthetic_epithelium
    from fijibridge.cells.targets.from_labels import (
        IGNORE,
        affinity_target,
        class_target,
        distance_target,
        membrane_target,
    )
    from fijibridge.cells.targets.weights import class_weights, weight_map
    from fijibridge.dataset import Dataset, Description, add_to_dataset, check_dataset, describe_dataset, save_dataset
    from fijibridge.displays import thumbnail
    from fijibridge.errors import FijiBridgeError
    from fijibridge.fiji.session.fiji import Fiji, current
    from fijibridge.files import read_image, write_image
    from fijibridge.image import as_image, pixel_size
    from fijibridge.imagej.metadata import imagej_info
    from fijibridge.nn.augmentation import Augmentation
    from fijibridge.nn.export import export_model
    from fijibridge.nn.model import Model
    from fijibridge.nn.normalisation import Normalisation
    from fijibridge.nn.patches import PatchSampler, Sample, SavedPatches, save_patches, weight_errors
    from fijibridge.nn.planning import plan, receptive_field
    from fijibridge.nn.prediction import predict, predict_files
    from fijibridge.nn.training import Run, Settings, train
    from fijibridge.nn.unet import UNet
    from fijibridge.record import read_record
    from fijibridge.reports.comparison import compare_runs
    from fijibridge.reports.predictions import compare_predictions
    from fijibridge.reports.run import report_run
    from fijibridge.rois import Roi, labels_to_rois, read_rois, rois_to_labels, rois_to_mask, write_rois
    from fijibridge.verbs import verb


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fijibridge' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fijibridge.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


renames.rename_attributes(__name__, _RENAMED)
