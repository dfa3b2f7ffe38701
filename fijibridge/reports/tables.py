"""Tables as text and as files."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from fijibridge.errors import ImageError
from fijibridge.files import atomic
from fijibridge.renames import object_before_path


def table_text(table: pd.DataFrame) -> str:
    """Format a match table as text, with ratios to 4 decimals."""
    ratios = {c: "{:.4f}".format for c in ("precision", "recall", "f1", "pq", "seg", "ap") if c in table}
    return table.to_string(index=False, formatters=ratios)


@object_before_path
def save_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table as CSV, atomically."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a match table from CSV.

    Raises
    ------
    ImageError
        If the file cannot be read, or has no column ``image``.
    """
    try:
        table = pd.read_csv(Path(path), dtype={"image": str}, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read as a match table: {error}") from error
    if "image" not in table:
        raise ImageError(f"{path} has the columns {list(table)}; expected a match table with a column 'image'")
    return table
