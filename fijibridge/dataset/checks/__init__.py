"""Checks of a data set before anything is trained or scored on it."""
