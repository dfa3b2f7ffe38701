"""The verbs of a trained network: predict an image, or a folder of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from fijibridge.errors import OptionError
from fijibridge.verbs.device_queue import in_turn
from fijibridge.verbs.parameters import File, Image, Kind, NewFolder, Param
from fijibridge.verbs.registry import Call, verb
from fijibridge.verbs.results import Say, ShowImage

if TYPE_CHECKING:
    import xarray as xr

    from fijibridge.nn.model import Model

ModelFile: TypeAlias = Annotated[File, Param("model file, or the folder of a run")]
Flips: TypeAlias = Annotated[bool, Param("mean over mirrored images: 4 times the work, 8 times in 3D")]
Tile: TypeAlias = Annotated[
    int | None, Param("side of the tiles, the largest that fit if left out: memory, not the result", "px", low=1)
]
Border: TypeAlias = Annotated[
    Literal["as trained", "mirror", "valid"],
    Param("beyond the image: what the network learnt to see there, the mirrored image; valid: nothing, smaller"),
]
Precision: TypeAlias = Annotated[Literal["32", "bf16"], Param("of the numbers in the network; bf16: less memory")]
Device: TypeAlias = Annotated[str | None, Param("cpu, cuda, cuda:1, mps; the best there is if left out")]


@verb("Predict...", order=20)
def predict(
    call: Call,
    image: Annotated[Image, Param("the image to be predicted")],
    model: ModelFile,
    flips: Flips = False,
    border: Border = "as trained",
    tile: Tile = None,
    precision: Precision = "32",
    device: Device = None,
) -> ShowImage:
    """Compute the class probabilities of an image, such as membrane or not.

    The result has a channel for each class, and keeps the image's pixel size and place. Images of any size are
    predicted tile by tile, equal to the whole.
    """
    from fijibridge.files.names import stem

    with working(call, device) as chosen:
        prob = predicted(image, model, call, flips, border, tile, precision, chosen)
    return ShowImage(prob, f"{stem(image)}_prob", limits=(0.0, 1.0), first="membrane")


@verb("Predict Folder...", order=21)
def predict_folder(
    call: Call,
    input: Annotated[
        Path, Param("folder of images, or one with a dataset.toml", kind=Kind.folder, label="Input folder")
    ],
    model: ModelFile,
    output: Annotated[NewFolder, Param("folder for {name}_prob.tif", label="Output folder")],
    flips: Flips = False,
    border: Border = "as trained",
    tile: Tile = None,
    precision: Precision = "32",
    existing: Annotated[
        Literal["refuse", "keep", "replace"],
        Param("what to do where results are there already", label="If there are some"),
    ] = "refuse",
    device: Device = None,
) -> Say:
    """Compute the class probabilities of all images of a folder, each into a file of its own."""
    from fijibridge.nn.prediction import predict_files
    from fijibridge.nn.prediction.files import results_there

    there = results_there(input, output) if existing == "refuse" else []
    if there:
        raise OptionError(
            f"{len(there)} results are in {output} already, such as {there[0].name}: existing=keep leaves them as they "
            "are, existing=replace makes them anew"
        )
    with working(call, device) as chosen:
        written = predict_files(
            loaded(model, chosen), input, output, resume=existing == "keep", overwrite=existing == "replace",
            progress=call.progress, tile=tile, flips=flips, border=border, precision=precision, device=chosen,
            cancel=call.cancelled,
        )  # fmt: skip
    return Say(f"{len(written)} predictions in {output}")


def predicted(
    image: xr.DataArray, model: Path, call: Call, flips: bool = False, border: Border = "as trained",
    tile: int | None = None, precision: str = "32", device: str | None = None,
) -> xr.DataArray:  # fmt: skip
    """Predict an image, telling the call how far it is."""
    from fijibridge.files.names import stem
    from fijibridge.nn.prediction import predictor

    call.say(f"predicting {stem(image)}")
    return predictor.predict(
        loaded(model, device), image, border=border, flips=flips, tile=tile, precision=precision, device=device,
        progress=call.progress, cancel=call.cancelled,
    )  # fmt: skip


def loaded(path: Path, device: str | None) -> Model:
    """Return the model of a file for a device, its own; the last four stay loaded until a file changes."""
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
    """Work on a device, one call at a time; yields its name."""
    from fijibridge.nn.devices import device_of

    chosen = device_of(device)
    with in_turn(f"{chosen.type}:{chosen.index or 0}", call):  # "cuda" is "cuda:0"
        yield str(chosen)
