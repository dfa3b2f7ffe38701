"""Saved patches: images and targets in one zarr array, and batches read from it."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fijibridge.errors import TrainingError
from fijibridge.files import atomic_folder
from fijibridge.nn.patches.fingerprint import described
from fijibridge.nn.patches.sample import Batch
from fijibridge.nn.patches.sampler import PatchSampler

_FORMAT = "fijibridge patches 1"
_EXACT = 2**24  # float32 represents every integer up to this one exactly


def save_patches(sampler: PatchSampler, path: str | PathLike[str], batches: int | None = None) -> Path:
    """Write the patches of a sampler to disk, for other programs or later trainings.

    Parameters
    ----------
    sampler
        The sampler. Transformed patches are written from its first epoch on; the sampler's position is left unchanged.
    path
        New folder, written as a zarr group with one ``float32`` array ``patches`` with axes n, c, (z,) y, x. Its
        attribute ``channels`` names the channels: the image channels, the class ids (255 = unknown), the targets of
        further heads and the weight.
    batches
        Number of batches; by default one epoch.

    Returns
    -------
    pathlib.Path
        The folder, which appears when it is complete.

    Raises
    ------
    TrainingError
        If the folder exists, `batches` is below 1, or an id is too large for ``float32``.

    Examples
    --------
    >>> import tempfile
    >>> from fijibridge.nn.patches import Sample
    >>> image = np.random.default_rng(0).random((1, 40, 40), np.float32)
    >>> sampler = PatchSampler([Sample(image, np.zeros((40, 40), np.uint8))], (16, 16), batch=4, batches=3)
    >>> path = save_patches(sampler, Path(tempfile.mkdtemp()) / "patches.zarr")
    >>> SavedPatches(path, batch=6)
    SavedPatches(12 patches of 16 x 16, image, classes, weight)
    """
    target, wanted = Path(path), len(sampler) if batches is None else int(batches)
    if target.exists():
        raise TrainingError(f"{target} exists: pass the path of a new folder, or remove it")
    if wanted < 1:
        raise TrainingError(f"batches is {batches}; expected 1 or more")
    with atomic_folder(target) as unfinished:
        _write(sampler, unfinished, wanted)
    return target


def _write(sampler: PatchSampler, path: Path, batches: int) -> None:
    import zarr

    array: Any = None
    for number in range(batches):
        epoch, within = divmod(number, len(sampler))
        patches = _joined(sampler.batch_at(epoch, within))
        if array is None:
            group = zarr.open_group(path, mode="w", attributes=_about(sampler, patches.ndim - 2))
            dims = ("n", "c", *("zyx"[-len(sampler.patch) :]))
            array = group.create_array(
                "patches", shape=(batches * len(patches), *patches.shape[1:]), chunks=(1, *patches.shape[1:]),
                shards=patches.shape, dtype="float32", dimension_names=dims,
                attributes={"channels": _channels(sampler)},
            )  # fmt: skip
        array[number * len(patches) : (number + 1) * len(patches)] = patches


def _joined(batch: Batch) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Concatenate the arrays of a batch into one array (B, C + targets + 1, ...)."""
    x, y, weight = batch
    y = y if y.ndim == x.ndim else y[:, None]
    if float(y.max()) > _EXACT:
        raise TrainingError(
            f"a target contains the id {int(y.max())}, but float32 is exact only up to {_EXACT}: relabel the cells"
        )
    return torch.cat([x.float(), y.float(), weight[:, None].float()], dim=1).cpu().numpy()


def _channels(sampler: PatchSampler) -> list[str]:
    sample, heads = sampler.samples[0], sampler.augmentation.heads
    image = int(sample.image.shape[0])
    further = heads if len(heads) == sample.extra else tuple(f"target_{1 + n}" for n in range(sample.extra))
    return [*(["image"] if image == 1 else [f"image_{n}" for n in range(image)]), "classes", *further, "weight"]


def _about(sampler: PatchSampler, dims: int) -> dict[str, Any]:
    return {
        "format": _FORMAT, "image_channels": int(sampler.samples[0].image.shape[0]), "dims": dims,
        "images": [sample.name for sample in sampler.samples], **described(sampler),
    }  # fmt: skip


class SavedPatches:
    """Batches of patches written by :func:`save_patches`, which :func:`fijibridge.train` accepts as data.

    Parameters
    ----------
    path
        The folder.
    batch
        Patches in a batch; the last batch may be smaller.
    shuffle
        Whether each epoch has a different order; otherwise patches are read in the order in which they were saved.
    seed
        Seed of the random order.

    Attributes
    ----------
    patches : zarr.Array
        All patches, (n, c, [z,] y, x); a patch is read only when its batch is requested.
    channels : list of str
        Names of the channels.
    about : dict
        Seed and settings of the sampler.

    Raises
    ------
    TrainingError
        If there are no saved patches at the path.
    """

    def __init__(self, path: str | PathLike[str], batch: int = 8, *, shuffle: bool = True, seed: int = 0):
        self.path, self.batch, self.shuffle, self.seed = Path(path), int(batch), shuffle, int(seed)
        if self.batch < 1:
            raise TrainingError(f"batch is {batch}; expected 1 or more")
        self.patches, self.about = _opened(self.path)
        self.channels: list[str] = list(self.patches.attrs["channels"])
        self.epoch, self.done = 0, 0
        self._resumed = False

    def __repr__(self) -> str:
        """Return the number, sides and channels of the patches as text."""
        sides = " x ".join(str(n) for n in self.patches.shape[2:])
        return f"SavedPatches({self.patches.shape[0]} patches of {sides}, {', '.join(self.channels)})"

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-int(self.patches.shape[0]) // self.batch)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of an epoch, or its remaining batches after :meth:`load_state_dict`."""
        if self.done and not self._resumed:  # the caller left the previous epoch early
            self.epoch, self.done = self.epoch + 1, 0
        self._resumed = False
        while self.done < len(self):
            number = self.done
            self.done += 1
            yield self.batch_at(self.epoch, number)
        self.epoch, self.done = self.epoch + 1, 0

    def batch_at(self, epoch: int, number: int) -> Batch:
        """Return one batch, (x, y, weight); epoch and number count from 0."""
        count = int(self.patches.shape[0])
        if not 0 <= number < len(self):
            raise IndexError(f"batch {number} is out of range for {len(self)} batches")
        order = np.random.default_rng((self.seed, epoch)).permutation(count) if self.shuffle else np.arange(count)
        chosen = order[number * self.batch : (number + 1) * self.batch]
        joined = torch.from_numpy(np.stack([np.asarray(self.patches[int(n)]) for n in chosen]))
        image = int(self.about["image_channels"])
        x, y, weight = joined[:, :image], joined[:, image:-1], joined[:, -1]
        return x, y[:, 0].long() if y.shape[1] == 1 else y, weight

    def state_dict(self) -> dict[str, Any]:
        """Return the position (epoch and batch) from which to continue later."""
        return {"epoch": self.epoch, "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a position returned by :meth:`state_dict`."""
        self.epoch, self.done, self._resumed = int(state["epoch"]), int(state["done"]), True


def _opened(path: Path) -> tuple[Any, dict[str, Any]]:
    import zarr

    try:
        group = zarr.open_group(path, mode="r")
        about = dict(group.attrs)
        array: Any = group["patches"]
    except (OSError, KeyError, ValueError) as error:
        raise TrainingError(f"{path} contains no saved patches ({error}): write them with save_patches") from error
    if about.get("format") != _FORMAT:
        raise TrainingError(f"{path} has the format {about.get('format')!r}; expected {_FORMAT!r}")
    return array, about
