from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from skimage.io import imsave

import fijibridge as fb
from fijibridge.files import write_image
from tests.conftest import ROOT
from tests.warm import WarmPython

README = (ROOT / "README.md").read_text(encoding="utf-8")


def session_of(text: str) -> str:
    """Return all Python blocks of a page, one after the other, as somebody types them."""
    blocks = re.findall(r"```python[^\n]*\n(.*?)```", text, re.DOTALL)
    assert blocks
    return "\n".join(blocks)


def run_commands(warm_python: WarmPython, page: str, folder: Path) -> str:
    """Run the commands of a page in a folder, and return what they print."""
    lines = re.findall(r"^fijibridge (.*)", page, re.MULTILINE)
    return "".join(warm_python.command(*shlex.split(line), cwd=folder) for line in lines)


@pytest.mark.jvm
def test_the_session_about_cells_runs(warm_python, tmp_path):
    page = (ROOT / "docs" / "cells.md").read_text(encoding="utf-8")
    done = warm_python.run(session_of(page), cwd=tmp_path, DISPLAY=None)
    assert "of the pixels are right" in done.stdout
    assert fb.Dataset.open(tmp_path / "corrected")["evl_01"].provenance == "corrected"


@pytest.mark.jvm
def test_the_session_about_learning_and_its_commands_run(warm_python, tmp_path):
    page = (ROOT / "docs" / "learning.md").read_text(encoding="utf-8")
    assert page.count("batches=15") == 6
    short = page.replace("batches=15", "batches=3").replace("epochs=8", "epochs=2")
    done = warm_python.run(session_of(short), cwd=tmp_path, DISPLAY=None)
    last = "all 6 epochs done; best val_loss "
    said = {line.split(last)[1][:6] for line in done.stdout.splitlines() if line.startswith(last)}
    assert len(said) == 1, "the run that was stopped and resumed ends like the one that was not"
    assert "['first curves', 'first picture']" in done.stdout
    assert (tmp_path / "compared" / "comparison.html").is_file()
    assert len(re.findall(r"^fijibridge .*", page, re.MULTILINE)) == 5
    run_commands(warm_python, page, tmp_path)
    assert (tmp_path / "first.html").is_file()


@pytest.mark.jvm
def test_the_python_session_of_the_readme_runs(warm_python, tmp_path):
    done = warm_python.run(session_of(README), cwd=tmp_path, DISPLAY=None)
    assert "evl_01" in done.stdout
    assert "total" in done.stdout
    assert (tmp_path / "runs" / "evl" / "model.safetensors").is_file()


def test_the_folder_section_of_the_readme_runs(warm_python, tmp_path):
    """The description and the commands as they stand there, on drawn images and with a shorter training."""
    (toml,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (commands,) = re.findall(r"```sh\n(fijibridge check.*?)```", README, re.DOTALL)
    images = tmp_path / "images"
    images.mkdir()
    (images / "dataset.toml").write_text(toml)
    for seed, name in enumerate(("01", "02", "15", "18", "21", "29")):
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, seed=seed)
        light = tissue.image.values.astype(float)
        imsave(images / f"{name}_image.png", (light / light.max() * 255).astype(np.uint8), check_contrast=False)
        imsave(images / f"{name}_roi.png", np.full((64, 80), 255, np.uint8), check_contrast=False)
        write_image(tissue.labels.drop_vars(("y", "x")), images / f"{name}_labels.tif")
    assert commands.count("--epochs 20 --membrane-width 2") == 1
    short = commands.replace("--epochs 20 --membrane-width 2", "--epochs 1 --batches 3 --patch 32 --membrane-width 2")
    printed = run_commands(warm_python, short, tmp_path)
    table = pd.read_csv(tmp_path / "matches.csv", dtype=str)
    assert table["image"].tolist() == ["15", "18", "21", "29", "total"]
    assert "truth: manual" in printed


def test_ci_runs_the_test_command_of_the_readme():
    (block,) = re.findall(r"<!-- tests -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert block.strip().endswith(".venv/bin/pytest")
    assert "<!-- tests -->" in (ROOT / ".ci" / "run").read_text()
