"""Images in, what a network says of each pixel out: tile by tile, equal to the whole."""

from fijibridge.nn.prediction.files import predict_files
from fijibridge.nn.prediction.predictor import predict

__all__ = ["predict", "predict_files"]
