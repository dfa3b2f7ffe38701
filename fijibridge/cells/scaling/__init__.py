"""Down- and upscaling in place, and how far one can downscale before cells are lost."""
