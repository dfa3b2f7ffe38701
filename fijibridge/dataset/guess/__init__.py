"""Guess of the description of a folder, made from its files."""
