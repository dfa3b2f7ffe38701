"""Joins Fiji and PyTorch: images and ROIs in, a U-Net trained on them, cells and match statistics back.

The public names are loaded when they are first used: importing this package starts no JVM and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fijibridge import renames
from fijibridge.version import __version__

_HOME = {
    "Agreement": "cells.matching.agreement",
    "Augmentation": "nn.augmentation",
    "Comparison": "reports.comparison",
    "Dataset": "dataset",
    "Description": "dataset",
    "Diagnosis": "cells.diagnosis.overview",
    "Ending": "nn.training",
    "Epithelium": "cells.synthetic",
    "Fiji": "fiji.session.fiji",
    "FijiBridgeError": "errors",
    "Forecast": "nn.planning",
    "IGNORE": "cells.targets.from_labels",
    "Matching": "cells.matching.matches",
    "Measurement": "nn.planning",
    "Model": "nn.model",
    "Normalisation": "nn.normalisation",
    "PatchSampler": "nn.patches",
    "SavedPatches": "nn.patches",
    "save_patches": "nn.patches",
    "Plan": "nn.planning",
    "ReceptiveField": "nn.planning",
    "Record": "record",
    "Roi": "rois",
    "Run": "nn.training",
    "Sample": "nn.patches",
    "Settings": "nn.training",
    "Tuning": "cells.segmentation.tuning",
    "UNet": "nn.unet",
    "add_to_dataset": "dataset",
    "affinity_target": "cells.targets.from_labels",
    "as_image": "image",
    "average_precision": "cells.matching.matches",
    "ceiling": "cells.scaling.ceiling",
    "changed_cells": "cells.corrections",
    "check": "dataset",
    "class_target": "cells.targets.from_labels",
    "class_weights": "cells.targets.weights",
    "compare_labels": "cells.matching.agreement",
    "compare_predictions": "reports.predictions",
    "compare_runs": "reports.comparison",
    "compare_match_tables": "cells.corrections",
    "confirm_receptive_field": "nn.planning",
    "current": "fiji.session.fiji",
    "describe": "dataset",
    "diagnose": "cells.diagnosis.overview",
    "distance_target": "cells.targets.from_labels",
    "downscale": "cells.scaling.resampling",
    "error_map": "cells.diagnosis.pixel_errors",
    "export_model": "nn.export",
    "fit_batch": "nn.planning",
    "fit_patch": "nn.planning",
    "forecast_training": "nn.planning",
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
    "write_rois": "rois",
}

_RENAMED = {
    "compare_tables": "cells.corrections",
    "list_changes": "cells.corrections",
    "separate_parts": "cells.corrections",
}
"""Names of version 0.1, each with the module that still knows it; they warn."""

__all__ = [
    "IGNORE",
    "Agreement",
    "Augmentation",
    "Comparison",
    "Dataset",
    "Description",
    "Diagnosis",
    "Ending",
    "Epithelium",
    "Fiji",
    "FijiBridgeError",
    "Forecast",
    "Matching",
    "Measurement",
    "Model",
    "Normalisation",
    "PatchSampler",
    "Plan",
    "ReceptiveField",
    "Record",
    "Roi",
    "Run",
    "Sample",
    "SavedPatches",
    "Settings",
    "Tuning",
    "UNet",
    "__version__",
    "add_to_dataset",
    "affinity_target",
    "as_image",
    "average_precision",
    "ceiling",
    "changed_cells",
    "check",
    "class_target",
    "class_weights",
    "compare_labels",
    "compare_match_tables",
    "compare_predictions",
    "compare_runs",
    "confirm_receptive_field",
    "current",
    "describe",
    "diagnose",
    "distance_target",
    "downscale",
    "error_map",
    "export_model",
    "fit_batch",
    "fit_patch",
    "forecast_training",
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
    "write_rois",
]

if TYPE_CHECKING:
    from fijibridge.cells.corrections import changed_cells, compare_match_tables, split_parts
    from fijibridge.cells.diagnosis.overview import Diagnosis, diagnose
    from fijibridge.cells.diagnosis.pixel_errors import error_map
    from fijibridge.cells.matching.agreement import Agreement, compare_labels
    from fijibridge.cells.matching.matches import Matching, average_precision, match_labels
    from fijibridge.cells.matching.table import match_table
    from fijibridge.cells.scaling.ceiling import ceiling
    from fijibridge.cells.scaling.resampling import downscale, upscale
    from fijibridge.cells.segmentation.flooding import grow_labels
    from fijibridge.cells.segmentation.from_membranes import labels_from_membranes
    from fijibridge.cells.segmentation.labelling import label_cells
    from fijibridge.cells.segmentation.tiled import label_cells_tiled
    from fijibridge.cells.segmentation.tuning import Tuning, tune_segmentation
    from fijibridge.cells.synthetic import Epithelium, synthetic_epithelium
    from fijibridge.cells.targets.from_labels import (
        IGNORE,
        affinity_target,
        class_target,
        distance_target,
        membrane_target,
    )
    from fijibridge.cells.targets.weights import class_weights, weight_map
    from fijibridge.dataset import Dataset, Description, add_to_dataset, check, describe, save_dataset
    from fijibridge.displays import thumbnail
    from fijibridge.errors import FijiBridgeError
    from fijibridge.fiji.session.fiji import Fiji, current
    from fijibridge.image import as_image, pixel_size
    from fijibridge.imagej.metadata import imagej_info
    from fijibridge.nn.augmentation import Augmentation
    from fijibridge.nn.export import export_model
    from fijibridge.nn.model import Model
    from fijibridge.nn.normalisation import Normalisation
    from fijibridge.nn.patches import PatchSampler, Sample, SavedPatches, save_patches, weight_errors
    from fijibridge.nn.planning import (
        Forecast,
        Measurement,
        Plan,
        ReceptiveField,
        confirm_receptive_field,
        fit_batch,
        fit_patch,
        forecast_training,
        plan,
        receptive_field,
    )
    from fijibridge.nn.prediction import predict, predict_files
    from fijibridge.nn.training import Ending, Run, Settings, train
    from fijibridge.nn.unet import UNet
    from fijibridge.record import Record, read_record
    from fijibridge.reports.comparison import Comparison, compare_runs
    from fijibridge.reports.predictions import compare_predictions
    from fijibridge.reports.run import report_run
    from fijibridge.rois import Roi, labels_to_rois, read_rois, rois_to_labels, rois_to_mask, write_rois
    from fijibridge.verbs import verb


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        return getattr(importlib.import_module(f"fijibridge.{_RENAMED[name]}"), name)
    if name not in _HOME:
        raise AttributeError(f"module 'fijibridge' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fijibridge.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
