"""Exported models: valid by bioimageio.spec, and what they answer by what they say of themselves alone."""

from __future__ import annotations

import socket
import sys
import zipfile
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import fijibridge as fb
from fijibridge.app.cli import main
from fijibridge.errors import ModelError
from fijibridge.files import read_image, write_image
from fijibridge.nn.export.tiles import tiles_of
from fijibridge.nn.export.torchscript import read_script

TOLD = {"authors": "Ada Lovelace", "license": "CC-BY-4.0"}


@pytest.fixture(scope="module")
def image():
    return fb.synthetic_epithelium((120, 150), cell_size=16, seed=1).image


def model_of(net=None, **about):
    torch.manual_seed(0)
    net = net if net is not None else fb.UNet(depth=2, width=4)
    about = {"classes": ("other", "membrane"), "pixel_size": {"y": 0.2, "x": 0.2}, "unit": "um"} | about
    return fb.Model(net, **about)


def said(folder):
    return yaml.safe_load((folder / "rdf.yaml").read_text())


def scaled_as_said(content, pixels):
    """Scale (1, C, ...) by the formula of the format, with numpy."""
    for step in content["inputs"][0].get("preprocessing", []):
        assert step["id"] == "scale_range"
        kwargs = step["kwargs"]
        names = [axis.get("id", axis["type"]) for axis in content["inputs"][0]["axes"]]
        axes = tuple(names.index(axis) for axis in kwargs["axes"])
        ends = (kwargs["min_percentile"], kwargs["max_percentile"])
        low, high = np.percentile(pixels, ends, axis=axes, keepdims=True)
        pixels = (pixels - low) / (high - low + kwargs.get("eps", 1e-6))
    return torch.from_numpy(np.asarray(pixels, np.float32))


def answered(folder, pixels):
    """Run the exported weights as a program does that has only the folder."""
    content = said(folder)
    script = read_script(folder / content["weights"]["torchscript"]["source"])
    with torch.no_grad():
        return script(scaled_as_said(content, pixels)).numpy()


class Own(nn.Module):
    """A network of someone else."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1))

    def forward(self, x):
        return self.layers(x)


MODELS = {
    "plain": lambda: model_of(),
    "residual, group, dropout": lambda: model_of(fb.UNet(depth=1, width=4, residual=True, norm="group", dropout=0.5)),
    "heads": lambda: model_of(
        fb.UNet(depth=1, width=4, heads=("distance", "affinity")),
        classes=("other", "membrane", "distance", "affinity_y", "affinity_x"),
    ),
    "scaled alike": lambda: model_of(normalisation=fb.Normalisation(0, 100, "dataset", values=((3, 400),))),
    "not scaled": lambda: model_of(normalisation=fb.Normalisation.none()),
    "own network": lambda: model_of(Own(), pixel_size={}, unit="pixel"),
}


@pytest.mark.parametrize("kind", MODELS)
def test_what_was_exported_answers_as_predict_does(kind, image, tmp_path):
    from bioimageio.spec import InvalidDescr, load_description

    model = MODELS[kind]()
    folder = fb.export_model(model, tmp_path / "out", image=image, **TOLD)
    for checked in (False, True):
        found = load_description(folder / "rdf.yaml", perform_io_checks=checked)
        assert not isinstance(found, InvalidDescr), found.get_reason()
    raw, expected = np.load(folder / "test_input.npy"), np.load(folder / "test_output.npy")
    np.testing.assert_allclose(answered(folder, raw), expected, atol=2e-5)
    dims = "zyx"[-model.traits.dims :]
    again = fb.predict(model, fb.as_image(raw[0, 0], dims))
    np.testing.assert_allclose(again.values, expected[0], rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.01  # it is a picture


def test_several_channels_are_scaled_each_by_itself(image, tmp_path):
    colours = fb.as_image(np.stack([image.values, 7 * image.values[::-1] + 100]), "cyx")
    model = model_of(fb.UNet(2, depth=1, width=4))
    folder = fb.export_model(model, tmp_path / "out", image=colours, **TOLD)
    raw = np.load(folder / "test_input.npy")
    again = fb.predict(model, fb.as_image(raw[0], "cyx"))
    np.testing.assert_allclose(answered(folder, raw)[0], again.values, atol=1e-4)


def test_volumes_get_a_halo_in_z_only_where_there_are_slices_enough(tmp_path):
    rng = np.random.default_rng(0)
    volume = fb.as_image(rng.random((12, 64, 64), np.float32), "zyx")
    model = model_of(fb.UNet(dims=3, depth=1, width=2), pixel_size={"z": 1.0, "y": 0.2, "x": 0.2})
    folder = fb.export_model(model, tmp_path / "out", image=volume, **TOLD)
    content = said(folder)
    sizes = {axis["id"]: axis["size"] for axis in content["inputs"][0]["axes"][2:]}
    halos = {axis["id"]: axis.get("halo") for axis in content["outputs"][0]["axes"][2:]}
    assert (sizes["z"]["min"], halos["z"]) == (2, None)
    assert halos["x"] == fb.receptive_field(model.net).halo
    assert "Each tile must cover the whole image along z" in (folder / "README.md").read_text()
    raw = np.load(folder / "test_input.npy")
    assert raw.shape == (1, 1, 12, 64, 64)
    again = fb.predict(model, fb.as_image(raw[0, 0], "zyx"))
    np.testing.assert_allclose(answered(folder, raw)[0], again.values, atol=1e-4)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_tiles_of_the_sizes_and_halo_that_are_said_give_the_whole(padding, image, tmp_path):
    model = model_of(fb.UNet(depth=2, width=4, padding=padding))
    folder = fb.export_model(model, tmp_path / "out", image=image, **TOLD)
    content = said(folder)
    size = content["inputs"][0]["axes"][-1]["size"]
    out = content["outputs"][0]["axes"][-1]
    halo, lost = out.get("halo", 0), -out["size"]["offset"] // 2
    side = size["min"] + size["step"]
    x = torch.rand(1, 1, *(size["min"] + 5 * size["step"] for _ in "yx"))
    script = read_script(folder / "weights.pt")
    with torch.no_grad():
        whole = script(x)
        assert whole.shape[-1] == x.shape[-1] - 2 * lost
        corners = range(0, x.shape[-1] - side + 1, size["step"])
        for top, left in product(corners, corners):
            tile = script(x[..., top : top + side, left : left + side])
            inside = slice(halo, tile.shape[-1] - halo)
            rows, columns = (slice(c + inside.start, c + inside.stop) for c in (top, left))
            torch.testing.assert_close(tile[..., inside, inside], whole[..., rows, columns], atol=1e-5, rtol=1e-4)


def test_images_of_a_small_range_are_scaled_right(image, tmp_path):
    dim = image.copy(data=image.values.astype(np.float32) * 1e-6)
    model = model_of()
    folder = fb.export_model(model, tmp_path / "out", image=dim, **TOLD)
    raw = np.load(folder / "test_input.npy")
    np.testing.assert_allclose(answered(folder, raw), np.load(folder / "test_output.npy"), atol=1e-4)


def test_what_is_said(image, tmp_path):
    model = model_of(notes={"data": "evl", "provenance": "drawn by hand", "epochs": 3})
    authors = [{"name": "Ada Lovelace", "orcid": "0000-0001-2345-6789"}, "Charles Babbage"]
    folder = fb.export_model(
        model, tmp_path / "out", image=image, authors=authors, license="MIT", name="Membranes (EVL)",
        cite=[{"text": "U-Net", "doi": "10.1007/978-3-319-24574-4_28"}], tags=["zebrafish"],
    )  # fmt: skip
    content = said(folder)
    assert content["name"] == "Membranes (EVL)"
    assert [a["name"] for a in content["authors"]] == ["Ada Lovelace", "Charles Babbage"]
    assert {"2d", "unet", "zebrafish"} <= set(content["tags"])
    assert isinstance(content["documentation"], str)  # deepImageJ reads no other
    for axis in content["inputs"][0]["axes"][2:] + content["outputs"][0]["axes"][2:]:
        assert axis["unit"] == "micrometer"
        assert axis["scale"] == pytest.approx(0.2)
        n = np.arange(1, 20_000)
        assert (n * axis["scale"] / axis["scale"] == n).all()  # sizes are computed so, and cut to integers
    text = (folder / "README.md").read_text()
    assert "drawn by hand" in text
    assert "# Validation" in text
    assert {f.name for f in folder.iterdir()} == {
        "rdf.yaml", "README.md", "cover.png", "weights.pt", "model.safetensors", "test_input.npy", "test_output.npy",
    }  # fmt: skip
    loaded = fb.Model.load(folder)
    assert np.array_equal(fb.predict(loaded, image), fb.predict(model, image))


def test_a_run_as_an_archive_by_the_command_line(image, tmp_path, monkeypatch, capsys):
    from bioimageio.spec import InvalidDescr, load_description

    target = fb.synthetic_epithelium((120, 150), cell_size=16, seed=1)
    net = fb.UNet(depth=1, width=4)
    fb.train(net, [(image, fb.membrane_target(target.labels, 3))], epochs=0, patch=(32, 32), out=tmp_path / "run")
    write_image(image, tmp_path / "a.tif")
    words = ["export", tmp_path / "run", tmp_path / "m.zip", "--image", tmp_path / "a.tif", "--license", "CC0-1.0"]
    words += ["--author", "Ada", "--author", "Charles"]
    monkeypatch.setattr(sys, "argv", ["fijibridge", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0, capsys.readouterr()
    with zipfile.ZipFile(tmp_path / "m.zip") as archive:
        assert archive.testzip() is None
        assert "rdf.yaml" in archive.namelist()
    assert not isinstance(load_description(tmp_path / "m.zip", perform_io_checks=True), InvalidDescr)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "m.zip", "run"]


def test_nothing_is_asked_of_the_network(image, tmp_path, monkeypatch):
    def online(*_, **__):
        raise AssertionError("it went online")

    monkeypatch.setattr(socket, "create_connection", online)
    monkeypatch.setattr(socket.socket, "connect", online)
    fb.export_model(model_of(), tmp_path / "out", image=image, cite=[{"text": "U-Net", "doi": "10.1007/abc"}], **TOLD)


def test_all_or_nothing(image, tmp_path):
    folder = fb.export_model(model_of(), tmp_path / "out", image=image, **TOLD)
    before = (folder / "weights.pt").read_bytes()
    other = model_of(fb.UNet(depth=1, width=4))
    with pytest.raises(ModelError, match="exists: choose another path"):
        fb.export_model(other, folder, image=image, **TOLD)
    with pytest.raises(ModelError, match=r"(?s)bioimageio\.spec rejects the model: .*license"):
        fb.export_model(other, folder, image=image, authors="Ada", license="mine", overwrite=True)
    assert (folder / "weights.pt").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    fb.export_model(other, folder, image=image, overwrite=True, **TOLD)
    assert (folder / "weights.pt").read_bytes() != before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


class Branch(Own):
    def forward(self, x):
        return self.layers(x) if x.shape[-1] > 100 else 2 * self.layers(x)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"authors": []}, r"authors are \[\]"),
        ({"authors": [{"nam": "Ada"}]}, "dicts with name, affiliation"),
        ({"image": np.zeros((3, 120, 150))}, r"the image has axes .*isel\(t=0\)"),
        ({"image": fb.as_image(np.zeros((3, 120, 150)), "cyx")}, r"3 channel\(s\), but the network expects 1"),
        ({"image": np.ones((40, 150))}, "40 px in y, but the test image must be a tile of at least 52"),
        ({"image": np.full((120, 150), np.nan)}, "NaN"),
        ({"model": "nowhere"}, "no model at nowhere"),
        ({"model": fb.UNet}, "got a type; expected a Model"),
        ({"model": lambda: model_of(Branch())}, "the script and the network differ"),
        ({"model": lambda: model_of(normalisation=fb.Normalisation(kind="dataset"))}, "call fit"),
    ],
)
def test_what_cannot_be_exported(change, words, image, tmp_path):
    told = {"image": image, **TOLD} | change
    model = told.pop("model", model_of)
    with pytest.raises(ModelError, match=words):
        fb.export_model(model() if callable(model) and model is not fb.UNet else model, tmp_path / "out", **told)
    assert not list(tmp_path.iterdir())


def test_without_the_extra(image, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioimageio.spec", None)
    with pytest.raises(ModelError, match=r"pip install 'fijibridge\[export\]'"):
        fb.export_model("nowhere", tmp_path / "out", image=image, **TOLD)


def test_tiles_fit_networks_of_any_depth():
    for depth in (1, 2, 3):
        (tiles, _) = tiles_of(fb.UNet(depth=depth, width=1), (400, 400))
        assert tiles.least == 2 * tiles.halo + 2**depth
        assert (tiles.test - tiles.least) % tiles.step == 0


def test_a_real_image(data, tmp_path):
    file = sorted((data / "cornea_alizarine").rglob("*.png"))[0]
    picture = read_image(file)
    if "c" in picture.dims:
        picture = picture.isel(c=0, drop=True)
    model = replace(model_of(), pixel_size={}, unit="pixel")
    folder = fb.export_model(model, tmp_path / "out", image=picture, **TOLD)
    raw = np.load(folder / "test_input.npy")
    assert raw.shape == (1, 1, 256, 256)
    np.testing.assert_allclose(answered(folder, raw), np.load(folder / "test_output.npy"), atol=2e-5)
