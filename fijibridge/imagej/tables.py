"""Conversion of tables and curves to the form in which ImageJ stores them: columns of doubles or text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.errors import ImageError, SessionError


def columns_of(table: pd.DataFrame) -> dict[str, npt.NDArray[np.float64] | list[str]]:
    """Return the columns of a table by name, as arrays of numbers (NaN = missing) or lists of text.

    A named index becomes the first columns.

    Raises
    ------
    SessionError
        If two columns have the same name, a name is empty, or a column contains complex numbers.
    """
    table = with_index(table)
    names = [str(name) for name in table.columns]
    if len(set(names)) < len(names) or not all(name.strip() for name in names):
        raise SessionError(f"the columns of the table are {names}; expected a different, non-empty name for each")
    columns: dict[str, npt.NDArray[np.float64] | list[str]] = {}
    for name, heading in zip(names, table.columns, strict=True):
        column = table[heading]
        if pd.api.types.is_complex_dtype(column):
            raise SessionError(
                f"column {name!r} contains complex numbers, which ImageJ's tables do not support: use two columns for "
                "the real and imaginary part"
            )
        if _is_number(column):
            columns[name] = column.to_numpy(dtype=float, na_value=np.nan)
        else:
            columns[name] = ["" if pd.isna(value) else str(value) for value in column]
    return columns


def with_index(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose named index, if any, has become its first columns."""
    return table.reset_index() if any(name is not None for name in table.index.names) else table


def _is_number(column: pd.Series) -> bool:
    """Return whether doubles can represent a column. Columns with integers above 2**53 are shown as text instead."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    return not (pd.api.types.is_integer_dtype(column) and (column.abs() > 2**53).any())


def curves_to_plot(curves: pd.DataFrame) -> tuple[npt.NDArray[np.float64], pd.DataFrame]:
    """Return the index (x) and the columns (one per curve) as numbers.

    Raises
    ------
    ImageError
        If the index or a column is not numeric, or no value is finite.
    """
    try:
        x, numbers = curves.index.to_numpy(float), curves.astype(float)
    except (TypeError, ValueError) as error:
        raise ImageError(f"a plot needs numbers in the index and in all columns: {error}") from error
    if not np.isfinite(numbers.to_numpy()).any():
        raise ImageError("there is nothing to plot: no column contains a finite number")
    return x, numbers
