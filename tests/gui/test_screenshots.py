"""The pictures of the documentation are taken by a script, which must go on to work."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from PIL import Image

from tests.conftest import ROOT


def test_the_pictures_of_the_documentation_can_be_taken_anew(display, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "DISPLAY"}  # the script opens one itself
    script = ROOT / "docs" / "images" / "make_screenshots.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    for name in ("fiji_menu.png", "fiji_dialog.png", "fiji_result.png"):
        taken, kept = Image.open(tmp_path / name), Image.open(ROOT / "docs" / "images" / name)
        assert np.allclose(taken.size, kept.size, atol=80), "as in the documentation, whatever fonts there are"
        grey = np.asarray(taken.convert("L"), float)
        assert grey.std() > 10
        assert (np.abs(np.diff(grey, axis=1)) > 60).mean() > 0.005, "text and lines, not a blank window"
        assert (tmp_path / name).stat().st_size < 200_000
    cells = np.asarray(Image.open(tmp_path / "fiji_result.png").convert("RGB"), int)
    colourful = (cells.max(-1) - cells.min(-1) > 60).mean()
    assert colourful > 0.1, "a label image in its colours"
