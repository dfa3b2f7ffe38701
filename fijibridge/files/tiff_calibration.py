"""Pixel size, origin and units of a TIFF: by ImageJ's rules, from OME-XML, or from a microscope's own metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import tifffile

from fijibridge.image import usual_unit

_INCH, _CENTIMETER = 2, 3  # values of the tag ResolutionUnit
_SCREEN = 1 / 72  # inches: the resolution that programs write if they know none
_OME_SIZES = {"z": "PhysicalSizeZ", "y": "PhysicalSizeY", "x": "PhysicalSizeX", "t": "TimeIncrement"}

Calibration = dict[str, dict[str, Any]]
"""``pixel_size``, ``origin`` and ``unit``, each by axis: arguments of :func:`fijibridge.as_image`."""


def calibration(file: tifffile.TiffFile) -> Calibration:
    """Return the calibration of a TIFF that is not OME-TIFF; other TIFFs than those of microscopes as in ImageJ."""
    if file.is_lsm:
        return _lsm(file.lsm_metadata or {})
    if file.is_stk:
        return _stk(file.stk_metadata or {})
    if file.is_svs:
        return _svs(file.pages.first.description)
    return _imagej(file)


# --- ImageJ -----------------------------------------------------------------------------------------


def _imagej(file: tifffile.TiffFile) -> Calibration:
    """Return the calibration that ImageJ shows: ``ij.io.TiffDecoder`` and ``ij.io.FileOpener.setCalibration``."""
    page = file.pages.first
    sizes = {"x": 1.0, "y": 1.0, "z": 1.0}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        pixels = _rational(page.tags.valueof(tag))
        if pixels:
            sizes[axis] = 1 / pixels
    of_tag, unit = page.tags.valueof("ResolutionUnit"), None
    if of_tag == _INCH and sizes["x"] == _SCREEN:
        sizes["x"] = sizes["y"] = 1.0
    else:
        unit = {1: "", _INCH: "inch", _CENTIMETER: "cm"}.get(of_tag)
    description = str(page.description or "")
    ours = description.startswith("ImageJ")
    properties = read_properties(description) if ours or file.is_imagej else {}
    depth = _number(properties.get("spacing"))
    if ours:
        given = properties.get("unit", "")
        if unit == "cm" and given == "um":
            sizes["x"], sizes["y"] = sizes["x"] * 1e4, sizes["y"] * 1e4
        unit, sizes["z"] = given, sizes["z"] if depth is None else abs(depth)
    if unit == "cm" and sizes["x"] <= (1e-4 if ours else 1e-3):  # ImageJ's "convert to microns"
        sizes = {d: s * 1e4 if d != "z" or s != 1 else s for d, s in sizes.items()}
        unit = "um"
    if unit is None:
        return {}
    units = dict.fromkeys("zyx", usual_unit(unit))
    units |= {d: usual_unit(properties[f"{d}unit"]) for d in "yz" if properties.get(f"{d}unit")}
    if not ours and depth and properties.get("unit"):  # SCIFIO's description, which ImageJ ignores
        sizes["z"], units["z"] = abs(depth), usual_unit(properties["unit"])
    interval = _number(properties.get("finterval"))
    if interval and interval > 0:
        sizes["t"], units["t"] = interval, properties.get("tunit") or "sec"
    if depth is None:
        del sizes["z"]  # else planes without metadata would have a depth of 1
    return _with_origin({d: s for d, s in sizes.items() if s > 0}, units, properties)


def _with_origin(sizes: dict[str, float], units: dict[str, str], properties: Mapping[str, str]) -> Calibration:
    """Add the origin; in ImageJ, this is the pixel index of coordinate 0."""
    firsts = {d: _number(properties.get(f"{d}origin")) for d in "xyz"}
    origins = {d: -first * sizes.get(d, 1.0) for d, first in firsts.items() if first is not None}
    return {"pixel_size": sizes, "origin": origins, "unit": units}


def read_properties(text: str) -> dict[str, str]:
    r"""Read lines ``key=value`` as ``java.util.Properties`` does.

    Examples
    --------
    >>> read_properties("ImageJ=1.54p\nunit = \\u00B5m\nspacing: 0.7")
    {'ImageJ': '1.54p', 'unit': 'µm', 'spacing': '0.7'}
    """
    found = {}
    for line in text.replace("\0", "\n").splitlines():
        match = re.match(r"\s*([^\s=:#!][^\s=:]*)\s*[=:\s]\s*(.*)", line)
        if match:
            found[match[1]] = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda code: chr(int(code[1], 16)), match[2])
    return found


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None  # as ImageJ does


def _rational(value: Any) -> float:
    try:
        numerator, denominator = value
        return float(numerator / denominator)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0


# --- OME --------------------------------------------------------------------------------------------


def ome_image(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, name: str) -> ElementTree.Element | None:
    """Return the element ``Image`` of OME-XML that describes a series; None if there is none.

    Parameters
    ----------
    file
        The open file.
    series
        One of its series.
    name
        Name of the file. In a set of several files, each file contains the whole XML.
    """
    images = _named(ElementTree.fromstring(file.ome_metadata or "<OME/>"), "Image")
    if len(images) == len(file.series) and series in file.series:
        return images[file.series.index(series)]
    here = [image for image in images if name in {one.get("FileName") for one in _named(image, "UUID", deep=True)}]
    return next(iter(here or images), None)


def ome_calibration(image: ElementTree.Element | None) -> Calibration:
    """Return the calibration in an element ``Image`` of OME-XML."""
    found = [] if image is None else _named(image, "Pixels")
    pixels = found[0].attrib if found else {}
    sizes = {d: float(pixels[key]) for d, key in _OME_SIZES.items() if float(pixels.get(key, 0)) > 0}
    names = {d: pixels.get(f"{_OME_SIZES[d]}Unit", "s" if d == "t" else "um") for d in sizes}
    return {"pixel_size": sizes, "unit": {d: name if d == "t" else usual_unit(name) for d, name in names.items()}}


def ome_channels(image: ElementTree.Element | None) -> list[str]:
    """Return the names of the channels in an element ``Image`` of OME-XML; "" for a channel without a name."""
    return [] if image is None else [one.get("Name", "") for one in _named(image, "Channel", deep=True)]


def _named(element: ElementTree.Element, name: str, deep: bool = False) -> list[ElementTree.Element]:
    """Return the child elements with a name in any namespace; with `deep`, those at any depth."""
    return [one for one in (element.iter() if deep else element) if str(one.tag).rpartition("}")[2] == name]


# --- microscopes ------------------------------------------------------------------------------------


def _lsm(metadata: Mapping[str, Any]) -> Calibration:
    """Return the calibration of Zeiss LSM, whose lengths are in metres."""
    sizes = {d: 1e6 * float(metadata.get(f"VoxelSize{d.upper()}") or 0) for d in "zyx"}
    units = dict.fromkeys("zyx", "um")
    interval = float(metadata.get("TimeInterval") or metadata.get("TimeIntervall") or 0)
    if interval > 0:
        sizes["t"], units["t"] = interval, "sec"
    return {"pixel_size": {d: s for d, s in sizes.items() if s > 0}, "unit": units}


def _stk(metadata: Mapping[str, Any]) -> Calibration:
    """Return the calibration of MetaMorph STK."""
    if not metadata.get("XCalibration"):
        return {}
    unit = usual_unit(str(metadata.get("CalibrationUnits") or "").strip("\0 "))
    sizes = {"x": float(metadata["XCalibration"]), "y": float(metadata.get("YCalibration") or metadata["XCalibration"])}
    distances = [float(z) for z in metadata.get("ZDistance", ()) if float(z) > 0]
    if distances:
        sizes["z"] = distances[0]
    return {"pixel_size": sizes, "unit": dict.fromkeys("zyx", unit)}


def _svs(description: str) -> Calibration:
    """Return the calibration of Aperio SVS: micrometres per pixel, as in ``|AppMag = 20|MPP = 0.25``."""
    fields = dict(part.split("=", 1) for part in description.split("|") if "=" in part)
    size = _number({name.strip(): value for name, value in fields.items()}.get("MPP")) or 0.0
    return {"pixel_size": {"y": size, "x": size}, "unit": {"y": "um", "x": "um"}} if size > 0 else {}
