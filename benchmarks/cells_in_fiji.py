"""Cells of a label image into ROIs, into ImageJ, and measured there, against what one would write without fijibridge.

    python benchmarks/cells_in_fiji.py [--cells 3000 6000 12000] [--side 4096] [--rounds 5]

References, in the same run: skimage.measure.find_contours on each cell's bounding box + roifile, its bytes handed to
ImageJ; skimage.draw.polygon of roifile's coordinates; ImageJ's own loop
in Java (``Overlay.measure``), the numbers left there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import jpype
import numpy as np
from roifile import ImagejRoi
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.measure import find_contours

import fijibridge as fb
from fijibridge.fiji import rois as fiji_rois
from fijibridge.fiji.analyzer import MEASUREMENTS, measurement_flags


def tissue(cells: int, side: int, seed: int = 0) -> np.ndarray:
    """Draw a Voronoi tessellation with membranes of one pixel."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros((side, side), np.int32)
    seeds.reshape(-1)[rng.choice(side * side, cells, replace=False)] = np.arange(1, cells + 1)
    y, x = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    labels = seeds[y, x]
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return np.where(edge, 0, labels).astype(np.uint16 if cells < 2**16 else np.int32)


def contours(labels: np.ndarray) -> list[ImagejRoi]:
    """Trace each cell with scikit-image and hold it with roifile."""
    rois = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            mask = np.pad(labels[box] == number, 1)
            path = max(find_contours(mask, 0.5), key=len)
            xy = path[:, ::-1] + [box[1].start - 0.5, box[0].start - 0.5]
            rois.append(ImagejRoi.frompoints(xy.astype(np.float32), name=str(number)))
    return rois


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(name: str, work: Callable[[], object], reference: Callable[[], object], rounds: int) -> None:
    times = np.array([(seconds(work), seconds(reference)) for _ in range(rounds)])
    ratio = np.quantile(times[:, 1] / times[:, 0], [0.5, 0.0, 1.0])
    mine, its = np.median(times, axis=0)
    print(f"{name:<44}{mine:8.2f} s {its:8.2f} s   {ratio[0]:6.2f}   ({ratio[1]:.2f} to {ratio[2]:.2f})", flush=True)


def fill(plain: list[ImagejRoi], shape: tuple[int, ...]) -> np.ndarray:
    """Fill each outline with scikit-image."""
    filled = np.zeros(shape, np.uint16)
    for number, roi in enumerate(plain, start=1):
        xy = roi.coordinates()
        low = np.floor(xy.min(axis=0)).astype(int).clip(0)
        high = np.ceil(xy.max(axis=0)).astype(int) + 1
        mask = polygon2mask(tuple((high - low)[::-1]), (xy - low - 0.5)[:, ::-1])
        part = filled[low[1] : high[1], low[0] : high[0]]
        part[mask[: part.shape[0], : part.shape[1]]] = number
    return filled


def race(fiji: fb.Fiji, labels: np.ndarray, rounds: int) -> None:
    """Compare with the references on one tissue."""
    cells = len(np.unique(labels)) - 1
    fiji.show(labels.astype(np.float32), name="tissue")
    imp = fiji._find("tissue")
    decode = jpype.JClass("ij.io.RoiDecoder").openFromByteArray

    def push() -> None:
        imp.setOverlay(None)
        fiji_rois.add_to_overlay(imp, fiji_rois.to_java(fb.labels_to_rois(labels)))

    def push_plain() -> None:
        overlay = jpype.JClass("ij.gui.Overlay")()
        for roi in contours(labels):
            overlay.add(decode(jpype.JArray(jpype.JByte)(np.frombuffer(roi.tobytes(), np.int8))))
        imp.setOverlay(overlay)

    push()
    compare(f"labels -> ROIs -> Overlay, {cells} cells", push, push_plain, rounds)

    rois, plain = fb.labels_to_rois(labels), contours(labels)
    assert (fb.rois_to_labels(rois, labels.shape) == labels).all()
    compare(f"ROIs -> labels, {cells} cells", lambda: fb.rois_to_labels(rois, labels.shape),
            lambda: fill(plain, labels.shape), rounds)  # fmt: skip

    table = fiji.measure(rois, "tissue")
    assert (table["Area"].to_numpy() == np.bincount(labels.ravel())[1:]).all()
    overlay = imp.getOverlay()

    def loop_in_java() -> None:
        jpype.JClass("ij.plugin.filter.Analyzer").setMeasurements(measurement_flags(MEASUREMENTS))
        overlay.measure(imp)

    compare(f"measure, {cells} cells", lambda: fiji.measure(rois, "tissue"), loop_in_java, rounds)
    fiji.close_image("tissue")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[3000, 6000, 12000])
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    fiji = fb.Fiji.start("embedded", mode="headless", heap="4g")
    print(f"{'':<44}{'here':>10}{'reference':>11}   reference / here (least to most)")
    for cells in arguments.cells:
        race(fiji, tissue(cells, arguments.side), arguments.rounds)


if __name__ == "__main__":
    main()
