"""Tables as text and as files."""

from __future__ import annotations

import os

import pandas as pd

from fijibridge.files import atomic


def table_text(table: pd.DataFrame) -> str:
    """Set a match table as text, as the lab notebook has it: matched, GT, predicted, image, and the ratios."""
    ratios = {c: "{:.4f}".format for c in ("precision", "recall", "f1", "pq", "seg", "ap") if c in table}
    return table.to_string(index=False, formatters=ratios)


def save_table(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table as CSV, atomically."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)
