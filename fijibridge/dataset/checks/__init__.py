"""Checks of a data set, made before a network is trained or scored on it."""
