from __future__ import annotations

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import fijibridge as fb
from fijibridge.app.cli import app
from fijibridge.errors import DatasetError
from fijibridge.files import write_image


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate("ab"):
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, seed=seed)
        write_image(tissue.image, tmp_path / f"{name}_image.tif")
        write_image(tissue.labels, tmp_path / f"{name}_labels.tif")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_describe_shows_and_writes_only_if_asked(folder):
    shown = run("describe", folder)
    assert shown.exit_code == 0
    assert "labels = '{name}_labels.tif': for 2 image(s)" in shown.output
    assert "Nothing is written" in shown.output
    assert not (folder / "dataset.toml").exists()
    assert run("describe", folder, "--write").exit_code == 0
    assert fb.Dataset.open(folder).names() == ["a", "b"]
    again = run("describe", folder, "--write")
    assert isinstance(again.exception, DatasetError)
    assert run("describe", folder, "--write", "--overwrite").exit_code == 0


def test_check_tells_problems_by_its_exit_status(folder):
    run("describe", folder, "--write")
    good = run("check", folder)
    assert good.exit_code == 0, good.output
    assert "0 problem(s)" in good.output
    tifffile.imwrite(folder / "b_labels.tif", np.eye(9, dtype=np.uint16))
    bad = run("check", folder)
    assert bad.exit_code == 1
    assert "b_labels.tif" in bad.output
    assert run("check", folder, "--image", "*_image.tif").exit_code == 0
    assert run("check", folder / "none").exit_code == 1
