"""The example scripts, each run as it is by the engine of its language."""

from __future__ import annotations

import re
from pathlib import Path

import jpype
import numpy as np
import pytest

import fijibridge as fb
from fijibridge.verbs import unregister
from tests.conftest import ROOT
from tests.networks import brightness

EXAMPLES = ROOT / "scripts" / "examples"
LANGUAGES = {".bsh": "beanshell", ".groovy": "groovy", ".js": "javascript"}
GIVEN = {
    "beanshell": 'imp = ij.IJ.getImage(); model = new java.io.File("MODEL");\n',
    "groovy": "imp = ij.IJ.getImage(); model = new java.io.File('MODEL')\n",
    "javascript": "var imp = Packages.ij.IJ.getImage(), model = new java.io.File('MODEL');\n",
    "jython": "from ij import IJ; from java.io import File\nimp, model = IJ.getImage(), File('MODEL')\n",
}
"""What SciJava would give a script, in its language: the active image, and the file that was chosen."""


@pytest.fixture
def session(clean):
    """An image in which a network that passes on what it sees finds two cells."""
    image = np.full((24, 40), 0.9, np.float32)
    image[3:20, 3:17], image[3:20, 23:37] = 0.1, 0.2
    clean.show(fb.as_image(image, pixel_size=0.5, unit="um"), name="cells of the day.tif")
    return clean


@pytest.fixture
def model(tmp_path) -> Path:
    """A network that passes on what it sees: what is bright is membrane."""
    return brightness(tmp_path / "a model.safetensors")


def parts(path: Path) -> tuple[str, str]:
    """Return the lines of parameters, which SciJava reads, and the code, which it hands to the engine."""
    lines = path.read_text(encoding="utf-8").splitlines()
    taken = [line for line in lines if line.startswith("#@")]
    return "\n".join(taken), "\n".join("" if line.startswith("#@") else line for line in lines)


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir()))
def test_an_example_labels_and_measures_as_python_does_each_time(session, model, evaluate, name):
    taken, code = parts(EXAMPLES / name)
    assert re.findall(r"(\w+)$", taken, re.MULTILINE) in (["model"], ["model", "imp"])
    title = session.titles()[0]
    image = session.image(title)
    cells = fb.label_cells(fb.predict(model, image), "watershed", threshold=0.5)
    assert cells.max() == 2
    for _ in range(2):
        run(session, evaluate, name, code, str(model))
        table = session.table()
        assert table["Area"].tolist() == [np.sum(cells.values == 1) / 4, np.sum(cells.values == 2) / 4]  # um²
        assert table["Mean"].tolist() == pytest.approx([float(image.values[cells.values == i].mean()) for i in (1, 2)])
        (shown,) = (other for other in session.titles() if other != title)
        np.testing.assert_array_equal(session.array(shown), cells.values)
        assert len(session.rois("overlay", title)) == 2


def run(session, evaluate, name: str, code: str, model: str) -> None:
    """Run an example with what SciJava would give it."""
    path = Path(name)
    if path.suffix == ".ijm":
        session.run_macro(f'model = "{model}";\n{code}')
    elif name.endswith("_pyimagej.py"):
        imp = jpype.JClass("ij.IJ").getImage()
        exec(compile(code, name, "exec"), {"imp": imp, "model": jpype.JClass("java.io.File")(model)})
    else:
        language = "jython" if path.suffix == ".py" else LANGUAGES[path.suffix]
        evaluate[language](GIVEN[language].replace("MODEL", model) + code)


def test_the_verb_of_the_docs_works_from_a_macro_as_soon_as_it_is_defined(clean):
    page = (ROOT / "docs" / "fiji.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "bright_cells" in block)
    (macro,) = (block for block in re.findall(r"```ijm\n(.*?)```", page, re.DOTALL) if "Bright Cells" in block)
    clean.show(np.repeat([[100, 151, 150, 200]], 3, axis=0).astype(np.uint8), name="evl_01.tif")
    clean.show(np.repeat([[1, 2, 3, 5]], 3, axis=0).astype(np.uint8), name="evl_01_cells")
    exec(compile(code, "fiji.md", "exec", dont_inherit=True), {})
    try:
        clean.run_macro(macro)
        (shown,) = set(clean.titles()) - {"evl_01.tif", "evl_01_cells"}
        np.testing.assert_array_equal(clean.array(shown), np.repeat([[0, 2, 0, 5]], 3, axis=0))
    finally:
        unregister("bright_cells")
