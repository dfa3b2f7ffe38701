"""Verbs for a trained network: predict an image, or a folder of images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from fijibridge.errors import OptionError
from fijibridge.renames import rename_attributes
from fijibridge.verbs.device_queue import in_turn
from fijibridge.verbs.parameters import File, Image, Kind, NewFolder, Param
from fijibridge.verbs.registry import Call, verb
from fijibridge.verbs.results import Say, ShowImage

if TYPE_CHECKING:
    import xarray as xr

    from fijibridge.nn.model import Model

ModelFile: TypeAlias = Annotated[File, Param("model file, or the folder of a run")]
Flips: TypeAlias = Annotated[bool, Param("average over mirrored images: 4 times the work, 8 times in 3D")]
Tile: TypeAlias = Annotated[
    int | None,
    Param(
        "side of the tiles, which does not affect the result; if left out, the largest that fits into memory",
        "px",
        low=1,
    ),
]
Padding: TypeAlias = Annotated[
    Literal["as trained", "mirror", "valid"],
    Param(
        "pixels beyond the edge of the image. as trained: what the network saw there in training; mirror: the mirrored "
        "image; valid: none, so the result is smaller",
        was=("border",),
    ),
]
Precision: TypeAlias = Annotated[Literal["32", "bf16"], Param("number format in the network; bf16 needs less memory")]
Device: TypeAlias = Annotated[str | None, Param("cpu, cuda, cuda:1, mps; the fastest available if left out")]


@verb("Predict...", order=20)
def predict(
    call: Call,
    image: Annotated[Image, Param("image to predict")],
    model: ModelFile,
    flips: Flips = False,
    padding: Padding = "as trained",
    tile: Tile = None,
    precision: Precision = "32",
    device: Device = None,
) -> ShowImage:
    """Predict the class probabilities of an image, such as membrane or not.

    The result has a channel for each class, and the pixel size and position of the image. The image can have any size:
    the network sees one tile after another, and the result is the same as for the whole image at once.
    """
    from fijibridge.files.formats import stem

    with working(call, device) as chosen:
        prob = predicted(
            image, model, call, flips=flips, padding=padding, tile=tile, precision=precision, device=chosen
        )
    return ShowImage(prob, f"{stem(image)}_prob", limits=(0.0, 1.0), first="membrane")


@verb("Predict Folder...", order=21)
def predict_folder(
    call: Call,
    input: Annotated[
        Path, Param("folder of images, or folder with a dataset.toml", kind=Kind.folder, label="Input folder")
    ],
    model: ModelFile,
    output: Annotated[NewFolder, Param("folder for {name}_prob.tif", label="Output folder")],
    flips: Flips = False,
    padding: Padding = "as trained",
    tile: Tile = None,
    precision: Precision = "32",
    existing: Annotated[
        Literal["refuse", "keep", "replace"],
        Param("what to do with results that are already in the output folder", label="Existing results"),
    ] = "refuse",
    device: Device = None,
) -> Say:
    """Predict the class probabilities of all images in a folder, one file per image."""
    from fijibridge.nn.prediction import predict_files

    if existing == "refuse":
        _refuse_existing(input, output)
    with working(call, device) as chosen:
        written = predict_files(
            loaded(model, chosen), input, output, resume=existing == "keep", overwrite=existing == "replace",
            progress=call.progress, tile=tile, flips=flips, padding=padding, precision=precision, device=chosen,
            cancel=call.cancelled,
        )  # fmt: skip
    return Say(f"{len(written)} predictions in {output}")


def _refuse_existing(input: Path, output: Path) -> None:
    from fijibridge.nn.prediction.files import results_there

    there = results_there(input, output)
    if there:
        raise OptionError(
            f"{output} already has {len(there)} of the results, such as {there[0].name}: set existing=keep to leave "
            "them unchanged, or existing=replace to compute them again"
        )


def predicted(
    image: xr.DataArray, model: Path, call: Call, *, flips: bool = False, padding: Padding = "as trained",
    tile: int | None = None, precision: str = "32", device: str | None = None,
) -> xr.DataArray:  # fmt: skip
    """Predict an image, and report progress to the call."""
    from fijibridge.files.formats import stem
    from fijibridge.nn.prediction import predictor

    call.say(f"predicting {stem(image)}")
    return predictor.predict(
        loaded(model, device), image, padding=padding, flips=flips, tile=tile, precision=precision, device=device,
        progress=call.progress, cancel=call.cancelled,
    )  # fmt: skip


def loaded(path: Path, device: str | None) -> Model:
    """Load a model for a device; the last four models stay loaded until their files change."""
    from fijibridge.nn.model import FILE_NAME

    file = path / FILE_NAME if path.is_dir() else path
    stat = file.stat() if file.exists() else None
    return _loaded(path.resolve(), device, (stat.st_mtime_ns, stat.st_size) if stat is not None else (0, 0))


@lru_cache(maxsize=4)
def _loaded(path: Path, device: str | None, changed: tuple[int, int]) -> Model:
    from fijibridge.nn.model import Model

    return Model.load(path)


@contextmanager
def working(call: Call, device: str | None) -> Iterator[str]:
    """Wait for a device, reserve it, and yield its name."""
    from fijibridge.nn.devices import device_of

    chosen = device_of(device)
    with in_turn(f"{chosen.type}:{chosen.index or 0}", call):  # "cuda" and "cuda:0" are one device
        yield str(chosen)


rename_attributes(__name__, {"stem": "files.formats:stem"})
