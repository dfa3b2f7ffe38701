"""Downscaling and upscaling of images, and the number of cells that survive downscaling."""
