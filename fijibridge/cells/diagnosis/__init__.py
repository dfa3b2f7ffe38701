"""Where a segmentation goes wrong and why, and what people corrected.

``overview`` is where one starts to read: it puts together ``pixel_errors`` and ``gaps``.
"""
