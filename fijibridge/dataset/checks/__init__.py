"""Checks of a data set, before a network is trained or scored on it."""
