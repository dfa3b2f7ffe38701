"""Tables as text and as files."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from fijibridge.errors import ImageError
from fijibridge.files import atomic


def table_text(table: pd.DataFrame) -> str:
    """Set a match table as text, as the lab notebook has it: matched, GT, predicted, image, and the ratios."""
    ratios = {c: "{:.4f}".format for c in ("precision", "recall", "f1", "pq", "seg", "ap") if c in table}
    return table.to_string(index=False, formatters=ratios)


def save_table(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table as CSV, atomically."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a match table that was written as CSV.

    Raises
    ------
    ImageError
        If it is none.
    """
    try:
        table = pd.read_csv(Path(path), dtype={"image": str}, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read as a match table: {error}") from error
    if "image" not in table:
        raise ImageError(f"{path} has columns {list(table)}; expected a match table with a column 'image'")
    return table
