"""Images in, what a network says of each pixel out: tile by tile, equal to the whole."""

from fijibridge.nn.prediction.predicting import predict

__all__ = ["predict"]
