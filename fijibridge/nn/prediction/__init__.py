"""Prediction of images and files by a network, tile by tile."""

from fijibridge.nn.prediction.files import predict_files
from fijibridge.nn.prediction.predictor import predict

__all__ = ["predict", "predict_files"]
