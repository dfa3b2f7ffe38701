"""Make report.png: outcomes of imperfect predictions of drawn tissue, as `fijibridge report --png` draws them.

python docs/images/make_report.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

import fijibridge as fb
from fijibridge.reports.segmentation import Case, write_report


def case(name: str, seed: int, holes: int) -> Case:
    """Draw a tissue, and a prediction of its membranes with noise and holes."""
    drawn = fb.synthetic_epithelium((256, 320), cell_size=28, seed=seed)
    rng = np.random.default_rng(seed)
    membranes = np.asarray(fb.membrane_target(drawn.labels, 3)) == 1
    prob = gaussian_filter(membranes + rng.normal(0, 0.4, membranes.shape), 1)
    for y, x in rng.integers(10, 246, (holes, 2)):
        prob[y - 4 : y + 5, x - 4 : x + 5] *= 0.2
    prob = np.clip(prob, 0, 1)
    cells = fb.label_cells(prob, "threshold", threshold=0.35, min_size=20)
    return Case(name, drawn.image, drawn.labels, cells, prob)


def main() -> None:
    """Draw, find, and write the picture beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        cases = [case("few holes", 1, 12), case("many holes", 2, 60)]
        write_report(Path(folder) / "report.html", cases, png=Path(__file__).with_name("report.png"))


if __name__ == "__main__":
    main()
