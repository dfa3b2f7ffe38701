"""A first description of a folder, guessed from its files."""
