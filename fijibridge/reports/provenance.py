"""Meaning of scores, depending on the provenance of the truth."""

from __future__ import annotations

PROVENANCE = {
    "manual": "The truth was drawn by hand.",
    "corrected": (
        "The truth is the output of an algorithm that people corrected: an error that it shares with the prediction, "
        "and that nobody noticed, counts as right."
    ),
    "algorithm": (
        "The truth is itself the output of an algorithm: scores measure how far two algorithms agree, not how many "
        "cells are right."
    ),
    "unknown": "The origin of the truth is not recorded: set provenance in the description of the images.",
}
"""Meaning of a score, by the provenance of the truth."""
