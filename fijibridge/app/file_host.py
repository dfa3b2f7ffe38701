"""Host of verbs that reads images from files and writes results to a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from skimage.io import imsave

from fijibridge.app.console import console
from fijibridge.cells.corrections import drawn_cells
from fijibridge.errors import DatasetError, OptionError
from fijibridge.files import atomic, make_folder, read_image, write_image
from fijibridge.files.formats import stem
from fijibridge.image import values
from fijibridge.renames import rename_attributes
from fijibridge.reports.plots import columns_by_index, save_figure
from fijibridge.reports.tables import save_table, table_text
from fijibridge.rois import read_rois, write_rois
from fijibridge.verbs import (
    Measure,
    Offer,
    Outlines,
    Parameter,
    Result,
    Say,
    ShowCurves,
    ShowImage,
    ShowLabels,
    ShowTable,
)
from fijibridge.verbs.parameters import Kind

_ROIS = (".zip", ".roi")
_ROWS = 20


class FileHost:
    """Host of verbs that uses files in place of open images.

    Parameters
    ----------
    out
        Folder for results; None for a verb that only returns text.
    overwrite
        Whether results may replace files of the same names in the folder.

    Raises
    ------
    DatasetError
        If the folder is a file, cannot be written to, or contains files and `overwrite` is False.
    """

    def __init__(self, out: str | os.PathLike[str] | None, overwrite: bool = False) -> None:
        self.out = None if out is None else Path(out)
        self.written: list[Path] = []
        self._inputs: dict[str, xr.DataArray] = {}
        self._read: set[Path] = set()
        self._tables: dict[str, tuple[Path, pd.DataFrame]] = {}
        if self.out is not None:
            _check_folder(self.out, overwrite)

    def take(self, parameter: Parameter, value: Any, taken: Mapping[str, xr.DataArray]) -> xr.DataArray:
        """Read an image from a file; cells may also be a file of ROIs, which are drawn on the first image.

        Raises
        ------
        OptionError
            If no file is named, a file of ROIs contains no areas, or there is no image to draw the ROIs on.
        DatasetError
            If the file does not exist or cannot be read.
        """
        if not isinstance(value, str | os.PathLike) or not str(value):
            raise OptionError(f"{value!r} is not a path; expected an image file")
        path = Path(value)
        self._read.add(path.resolve())
        if self.drawn(parameter, value):
            image = self._drawn(path, next(iter(taken.values()), None))
        else:
            image = read_image(value)
        self._inputs[parameter.name] = image
        return image

    def drawn(self, parameter: Parameter, value: Any) -> bool:
        """Return whether a value names a file of ROIs."""
        named = isinstance(value, str | os.PathLike)
        return parameter.kind is Kind.cells and named and Path(value).suffix.lower() in _ROIS

    def _drawn(self, path: Path, over: xr.DataArray | None) -> xr.DataArray:
        """Draw the areas in a file of ROIs as a label image."""
        if over is None:
            raise OptionError(f"{path} contains ROIs, but there is no image to draw them on; expected a label image")
        cells = drawn_cells(read_rois(path), over)
        if cells is None:
            raise OptionError(f"{path} contains no areas; expected the outlines of cells")
        return cells.rename(path.stem)

    def give(self, result: Result) -> None:
        """Write a result to a file, or print it."""
        if isinstance(result, Offer):
            return  # there are no dialogs
        if isinstance(result, Say):
            console.print(result.text, soft_wrap=True)
        elif isinstance(result, ShowImage):
            self._image(result)
        elif isinstance(result, ShowLabels):
            write_image(image=result.labels, path=self._free(result.name, ".tif"))
        elif isinstance(result, Outlines):
            colored = [r.styled(stroke=c) if (c := result.colors.get(r.name)) else r for r in result.rois]
            write_rois(colored, self._free(f"{stem(self._inputs[result.over])}_rois", ".zip"))
        elif isinstance(result, ShowTable):
            self._table(result)
        elif isinstance(result, ShowCurves):
            save_table(result.table.reset_index(), self._free(result.name, ".csv"))
            save_figure(columns_by_index(result.table, result.name), self._free(result.name, ".png"))
        else:
            save_table(self._measured(result), self._free("Results", ".csv"))

    def _image(self, result: ShowImage) -> None:
        write_image(image=result.image, path=self._free(result.name, ".tif"))
        if result.colors is not None and result.image.ndim == 2:  # the TIFF cannot store these colours
            with atomic(self._free(result.name, ".png")) as temporary:
                imsave(temporary, np.asarray(result.colors)[values(result.image)], check_contrast=False)

    def _table(self, result: ShowTable) -> None:
        path, before = self._tables.get(result.name, (None, None))
        table = result.table
        if result.add and path is not None:
            table = pd.concat([before, table], ignore_index=True)
        else:
            path = self._free(result.name, ".csv")
        save_table(table, path)
        self._tables[result.name] = path, table
        if len(table) <= _ROWS:
            console.print(table_text(table), soft_wrap=True)

    def _measured(self, result: Measure) -> pd.DataFrame:
        """Measure with the embedded ImageJ, without a display."""
        from fijibridge.fiji.session.fiji import Fiji

        with Fiji.start("embedded", mode="headless") as fiji:
            return fiji.measure(
                list(result.rois), self._inputs[result.on], list(result.measurements), channel=result.channel
            )

    def _free(self, name: str, ending: str) -> Path:
        """Return a path for a result; no other result of this call and no input has this path.

        Raises
        ------
        OptionError
            If there is no folder for results.
        """
        if self.out is None:
            raise OptionError(f"there is no folder for the result {name!r}; add --out")
        base = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).strip(" .") or "result"
        path, number = self.out / f"{base}{ending}", 2
        while path in self.written or path.resolve() in self._read:
            path, number = self.out / f"{base}_{number}{ending}", number + 1
        make_folder(self.out)
        self.written.append(path)
        return path


def _check_folder(out: Path, overwrite: bool) -> None:
    """Refuse a folder that cannot receive results, before the verb runs."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise DatasetError(f"{there} is a file; expected a folder for the results")
    if not os.access(there, os.W_OK):
        raise DatasetError(f"the folder {there} cannot be written to; choose another folder for the results")
    if there == out and not overwrite and any(out.iterdir()):
        raise DatasetError(
            f"{out} already contains files: choose another folder (out, --out), or replace files of the same names "
            "(overwrite=True, --overwrite)"
        )


rename_attributes(__name__, {"OnFiles": "app.file_host:FileHost"})
