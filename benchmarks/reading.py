"""Reading images through their description, against tifffile and numpy on the same files.

    python benchmarks/reading.py [--rounds 7]

Ratios are taken round by round, in one run, so that a noisy machine disturbs both sides alike. The files are in the
cache of the system: what is compared is the work beside the disk's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from ratios import compare, head

import fijibridge as fb
from fijibridge.files import read_image

PLANES, SIDE = 200, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    volume = np.random.default_rng(0).integers(0, 4000, (PLANES, SIDE, SIDE), np.uint16)
    head()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = [folder / f"a_z{z:03}.tif" for z in range(PLANES)]
        for name, plane in zip(names, volume, strict=True):
            tifffile.imwrite(name, plane)
        stack = folder / "stack.tif"
        tifffile.imwrite(stack, volume, imagej=True)
        item = fb.Dataset.from_patterns(folder, image="{name}_z{z}.tif")["a"]
        assert (item.image().values == volume).all()
        compare("200 planes as files / tifffile.imread + numpy.stack", lambda: item.image().values,
                lambda: np.stack([tifffile.imread(name) for name in names]), rounds)  # fmt: skip
        compare("one of 200 planes, lazy / tifffile.imread of it", lambda: item.image(lazy=True)[100].values,
                lambda: tifffile.imread(names[100]), rounds)  # fmt: skip
        compare("a stack / tifffile.imread", lambda: read_image(stack).values, lambda: tifffile.imread(stack), rounds)
        compare("one plane of a stack, lazy / tifffile.imread, all", lambda: read_image(stack, lazy=True)[100].values,
                lambda: tifffile.imread(stack)[100], rounds)  # fmt: skip
        compare("open a folder of 200 images / pathlib.glob", lambda: fb.Dataset.from_patterns(folder, image="a_*.tif"),
                lambda: sorted(folder.glob("a_*.tif")), rounds)  # fmt: skip


if __name__ == "__main__":
    main()
