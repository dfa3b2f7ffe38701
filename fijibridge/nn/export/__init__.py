"""Export of models to the bioimage.io format, which Fiji, QuPath, ilastik and others can run."""

from fijibridge.nn.export.bioimage_io import export_model

__all__ = ["export_model"]
