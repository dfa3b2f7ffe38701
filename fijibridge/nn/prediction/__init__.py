"""Prediction of images and files with a network, tile by tile."""

from fijibridge.nn.prediction.files import predict_files
from fijibridge.nn.prediction.predictor import predict

__all__ = ["predict", "predict_files"]
