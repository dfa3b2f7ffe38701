"""Pulling and pushing pixels, against numpy.copy of the same data, and against pyimagej where a Fiji is given.

    python benchmarks/pixels.py [--fiji FOLDER] [--rounds 15]

Ratios are taken round by round, in one run, so that a noisy machine disturbs both sides alike; in each round both
sides run three times in a row and their best counts, so that both find the memory that they have just given back (a
numpy.copy into memory that is new to the process takes five to ten times as long).
"""

from __future__ import annotations

import argparse

import numpy as np
from ratios import compare, head

import fijibridge as fb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fiji", help="a Fiji folder: compare with pyimagej's own conversions too")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    fiji = fb.Fiji.start(arguments.fiji or "embedded", mode="headless", heap="6g")
    rng = np.random.default_rng(0)
    data = {
        "2048 x 2048 float32": rng.random((2048, 2048), np.float32),
        "50 x 2048 x 2048 uint16": rng.integers(0, 60000, (50, 2048, 2048), np.uint16),
    }
    from fijibridge.fiji.imageplus import to_imageplus

    head()
    for name, array in data.items():
        image = fb.as_image(array)
        fiji.show(array, name=name)
        assert (fiji.array(name) == array).all()
        compare(f"pull {name} / numpy.copy", lambda name=name: fiji.image(name), array.copy, arguments.rounds)
        compare(f"push {name} / numpy.copy", lambda image=image: to_imageplus(image, "x"), array.copy, arguments.rounds)
        if arguments.fiji:
            imp = fiji._find(name)
            compare(f"pyimagej from_java {name} / pull", lambda imp=imp: fiji.ij.py.from_java(imp),
                    lambda name=name: fiji.image(name), 5)  # fmt: skip
            compare(f"pyimagej to_imageplus {name} / push", lambda image=image: fiji.ij.py.to_imageplus(image),
                    lambda image=image: to_imageplus(image, "x"), 5)  # fmt: skip
        fiji.close_image(name)


if __name__ == "__main__":
    main()
