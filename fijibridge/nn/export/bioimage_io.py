"""Export of a model to a folder or archive that other programs can run."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from fijibridge.errors import ModelError
from fijibridge.files import atomic, atomic_folder
from fijibridge.image import DIMS, Array, as_image
from fijibridge.nn.export.description import Authors, authors_of, check_package, describe_model, documentation
from fijibridge.nn.export.tiles import Tiles, tiles_of
from fijibridge.nn.export.torchscript import SCRIPT, answer_of, read_script, script_of
from fijibridge.nn.model import FILE_NAME, Model
from fijibridge.nn.prediction.predictor import as_model
from fijibridge.nn.unet import UNet

if TYPE_CHECKING:
    from fijibridge.record import Recorded


def export_model(
    model: Model | Recorded | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    image: Array,
    authors: Authors,
    license: str,
    name: str = "Cell membranes by fijibridge",
    description: str = "Finds the membranes between cells.",
    cite: Sequence[Mapping[str, str]] = (),
    tags: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write a model in the bioimage.io format, which deepImageJ in Fiji, ilastik, QuPath and others can run.

    Parameters
    ----------
    model
        A trained model, the run that produced it, or the path of its file or of its run's folder.
    out
        Path of a new folder, or of a file that ends in ``.zip``.
    image
        A real, unscaled image with axes y and x, z for a 3D network, and c for a network with several channels. The
        test image is cut from the middle of this image; other programs check their output with the test image.
    authors
        A name, or a list of names or of dicts with ``name``, ``affiliation``, ``email``, ``github_user``, ``orcid``.
    license
        SPDX identifier, such as ``"CC-BY-4.0"``, ``"CC0-1.0"`` or ``"MIT"``.
    name, description
        Name (letters, digits, spaces and ``_+-()``) and description (up to 1,024 characters) of the model.
    cite
        References: dicts with ``text`` and ``doi`` or ``url``.
    tags
        Further tags, such as the microscope and the tissue.
    overwrite
        Whether to replace an existing folder or file at `out`.

    Returns
    -------
    pathlib.Path
        The folder or archive.

    Raises
    ------
    ModelError
        If the extra ``export`` is not installed, the image does not fit the network, the network cannot be written as
        TorchScript, the format does not allow one of the given strings, or `out` exists.

    Notes
    -----
    The weights are written as TorchScript, which all these programs can run, and include the activations, so that the
    output is probabilities. Normalisation by each image's percentiles is described as ``scale_range``; deepImageJ
    uses pixel values as percentiles, whereas numpy interpolates them. The normalisation ``"dataset"`` is part of the
    network.
    Halo and tile sizes come from :func:`fijibridge.receptive_field`. Before the folder is moved to its place, the
    written weights are run on the test image, and bioimageio.spec validates the folder.
    """
    _need_the_extra()
    target = Path(out)
    if target.exists() and not overwrite:
        raise ModelError(f"{target} exists: choose another path, or replace it (overwrite=True)")
    words: dict[str, Any] = {
        "name": name, "description": description, "authors": authors_of(authors), "license": license,
        "cite": [dict(one) for one in cite],
    }  # fmt: skip
    loaded = as_model(model)
    source = _checked_image(loaded, image)
    sizes = [source.sizes[d] for d in DIMS[-loaded.traits.dims :]]
    tiles = tiles_of(loaded.net, sizes)
    test = _middle(source, tiles)
    words["tags"] = list(dict.fromkeys([*_tags(loaded), *tags]))
    content = describe_model(loaded, tiles, test, _channel_names(source), words)
    with _whole(target) as folder:
        _write_network(folder, loaded, tiles, test)
        loaded.save(folder / FILE_NAME)
        (folder / "README.md").write_text(documentation(loaded, tiles, words), encoding="utf-8")
        (folder / "cover.png").write_bytes(_cover(test, np.load(folder / "test_output.npy")))
        _write_description(folder, content)
        check_package(folder)
    return target


def _need_the_extra() -> None:
    try:
        import bioimageio.spec  # noqa: F401
    except ImportError as error:
        raise ModelError("exporting needs the package bioimageio.spec: pip install 'fijibridge[export]'") from error


def _checked_image(model: Model, image: Array) -> xr.DataArray:
    """Return the image with axes (c, [z,] y, x) after checking that it fits the network."""
    source = as_image(image)
    known = model.traits
    spatial = DIMS[-known.dims :]
    if set(source.dims) - {"c"} != set(spatial):
        raise ModelError(
            f"the image has axes {source.dims}; the {known.dims}D network expects {spatial} and optionally c: select "
            "with image.isel(t=0)"
        )
    ordered = (source if "c" in source.dims else source.expand_dims("c")).transpose("c", *spatial)
    if ordered.sizes["c"] != known.in_channels:
        raise ModelError(f"the image has {ordered.sizes['c']} channel(s), but the network expects {known.in_channels}")
    return ordered


def _middle(image: xr.DataArray, tiles: Sequence[Tiles]) -> npt.NDArray[np.float32]:
    """Cut the test image, (1, C, [Z,] Y, X)."""
    start = {t.axis: (image.sizes[t.axis] - t.test) // 2 for t in tiles}
    part = image.isel({t.axis: slice(start[t.axis], start[t.axis] + t.test) for t in tiles})
    return np.ascontiguousarray(part.values[None], np.float32)


def _channel_names(image: xr.DataArray) -> list[str]:
    named = image.coords["c"].values if "c" in image.coords else range(image.sizes["c"])
    return [str(name) if isinstance(name, str) else f"channel{number}" for number, name in enumerate(named)]


def _tags(model: Model) -> list[str]:
    known = [f"{model.traits.dims}d", "pytorch", "cells", "cell-membrane", "semantic-segmentation", "fiji"]
    return [*known, "unet"] if isinstance(model.net, UNet) else known


def _write_network(folder: Path, model: Model, tiles: Sequence[Tiles], test: npt.NDArray[np.float32]) -> None:
    """Write the script, the test image and its output, and check that the written script reproduces the output."""
    scaled = model.normalisation(test[0])[None]
    shown = test if model.normalisation.kind == "dataset" else scaled  # input of the script
    first = torch.from_numpy(np.ascontiguousarray(shown))
    second = torch.rand((1, first.shape[1], *(t.least + t.step for t in tiles)))
    script_of(model, first, second).save(str(folder / SCRIPT))
    answer = answer_of(model, torch.from_numpy(scaled)).numpy()
    again = read_script(folder / SCRIPT)(first).detach().numpy()
    if not np.allclose(answer, again, rtol=1e-4, atol=1e-4):
        raise ModelError(f"the exported network differs from the model by up to {np.abs(answer - again).max():.2g}")
    np.save(folder / "test_input.npy", test)
    np.save(folder / "test_output.npy", answer)


def _cover(test: npt.NDArray[Any], answer: npt.NDArray[Any]) -> bytes:
    """Return a PNG of the image beside the probability of the second class."""
    from PIL import Image

    sides = []
    for pixels in (test[0, 0], answer[0, min(1, answer.shape[1] - 1)]):
        plane = pixels[len(pixels) // 2] if pixels.ndim == 3 else pixels
        low, high = np.percentile(plane, (1, 99.8))
        grey = np.clip((plane - low) / ((high - low) or 1.0) * 255, 0, 255).astype(np.uint8)
        sides.append(Image.fromarray(grey).resize((256, 256)))
    both = Image.new("L", (512, 256))
    for number, side in enumerate(sides):
        both.paste(side, (256 * number, 0))
    buffer = io.BytesIO()
    both.save(buffer, "PNG")
    return buffer.getvalue()


def _write_description(folder: Path, content: Mapping[str, Any]) -> None:
    from bioimageio.spec import save_bioimageio_yaml_only

    _add_check_sums(folder, content)
    save_bioimageio_yaml_only(dict(content), folder / "rdf.yaml")


def _add_check_sums(folder: Path, part: Any) -> None:
    """Add the SHA-256 of each file named as ``{"source": ...}``."""
    if isinstance(part, dict):
        if "source" in part:
            part["sha256"] = hashlib.sha256((folder / part["source"]).read_bytes()).hexdigest()
        for one in part.values():
            _add_check_sums(folder, one)
    elif isinstance(part, list):
        for one in part:
            _add_check_sums(folder, one)


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Yield a folder that finally becomes `target`, or is packed into it; after an error, nothing is left of it."""
    if target.suffix.lower() != ".zip":
        with atomic_folder(target, replace=True) as folder:
            yield folder
        return
    with tempfile.TemporaryDirectory(prefix="fijibridge-") as temporary:
        yield Path(temporary)
        _pack(Path(temporary), target)


def _pack(folder: Path, target: Path) -> None:
    with atomic(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
