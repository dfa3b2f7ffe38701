"""Planning of a training: patch sizes that fit, and a forecast of time and memory."""

from fijibridge.nn.memory import check_memory, training_memory
from fijibridge.nn.patches.size import patch_size
from fijibridge.nn.planning.forecast import Forecast, Measurement, forecast_training
from fijibridge.nn.planning.limits import fit_batch, fit_patch
from fijibridge.nn.planning.plans import Plan, plan
from fijibridge.nn.receptive_field import ReceptiveField, confirm_receptive_field, receptive_field

__all__ = [
    "Forecast",
    "Measurement",
    "Plan",
    "ReceptiveField",
    "check_memory",
    "confirm_receptive_field",
    "fit_batch",
    "fit_patch",
    "forecast_training",
    "patch_size",
    "plan",
    "receptive_field",
    "training_memory",
]
