"""Export of models in the format of bioimage.io, which Fiji, QuPath, ilastik and others run."""

from fijibridge.nn.export.package import export_model

__all__ = ["export_model"]
