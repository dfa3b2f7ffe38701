"""Elastic deformation, flips and rotation of pairs (image, mask): against kornia and torchvision v2, on the CPU.

    python benchmarks/augmentation.py [--rounds 5] [--threads 1]

All sides draw anew for each pair, mirror each axis every other time, turn by up to 20 degrees, displace each pixel by
about 2 px (checked: printed first), and take the mask by the nearest pixel. kornia and torchvision resample once for
the rotation and once for the displacement; here both are one grid. kornia is used on whole batches. torchvision's
ElasticTransform draws one displacement for all it is given, so that a draw for each pair takes a call for each; what
it takes with a single draw for the whole batch, another task, is told as well. Ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable

import kornia.augmentation as K
import numpy as np
import torch
from kornia.constants import DataKey, Resample
from ratios import compare, head
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from fijibridge.nn.augmentation import Augmentation

PIXELS, SMOOTH, DEGREES = 2.0, 9.0, 20.0
STILL = {"scale": 0, "brightness": 0, "contrast": 0, "gamma": 0, "noise": 0, "quarter_turns": False, "share": 1}
HERE = Augmentation(rotation=DEGREES, elastic=PIXELS * 1.15, smoothness=24, **STILL)
# blurred uniform noise of -1 to 1 has a standard deviation of 1 / sqrt(3) / (2 sqrt(pi) sigma)
STRENGTH = PIXELS * math.sqrt(3) * 2 * math.sqrt(math.pi) * SMOOTH
Pairs = tuple[torch.Tensor, torch.Tensor]
Work = Callable[[Pairs], Pairs]


def here(pairs: Pairs, augmentation: Augmentation = HERE, fresh: np.random.Generator | None = None) -> Pairs:
    """Do it as a sampler does: with weights, and a generator for each pair."""
    x, y = pairs
    numbers = (fresh or np.random.default_rng()).integers(2**62, size=len(x))
    x, y, _ = augmentation((x, y[:, 0].long(), torch.ones_like(y[:, 0])), [np.random.default_rng(n) for n in numbers])
    return x, y[:, None].float()


def with_kornia(size: int, turning: bool = True) -> Work:
    width = 2 * math.ceil(3 * SMOOTH) + 1
    elastic = K.RandomElasticTransform((width, width), (SMOOTH, SMOOTH), (2 * STRENGTH / size,) * 2, p=1.0,
                                       padding_mode="reflection")  # fmt: skip
    turns = [K.RandomHorizontalFlip(), K.RandomVerticalFlip(), K.RandomRotation(DEGREES, p=1.0)] if turning else []
    nearest = {DataKey.MASK: {"resample": Resample.NEAREST, "align_corners": None}}
    all_of_it = K.AugmentationSequential(*turns, elastic, data_keys=["input", "mask"], extra_args=nearest)
    return lambda pairs: tuple(all_of_it(*pairs))  # type: ignore[return-value]


def with_torchvision(turning: bool = True) -> Work:
    bilinear = InterpolationMode.BILINEAR  # masks are taken by the nearest pixel whatever is said
    elastic = v2.ElasticTransform(alpha=2 * STRENGTH, sigma=SMOOTH, interpolation=bilinear)
    turns = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), v2.RandomRotation(DEGREES, bilinear)]
    all_of_it = v2.Compose([*(turns if turning else []), elastic])
    return lambda pairs: all_of_it(tv_tensors.Image(pairs[0]), tv_tensors.Mask(pairs[1]))  # type: ignore[no-any-return]


def one_by_one(work: Work) -> Work:
    def each(pairs: Pairs) -> Pairs:
        done = [work((x, y)) for x, y in zip(*pairs, strict=True)]
        return torch.stack([x for x, _ in done]), torch.stack([y for _, y in done])

    return each


def displacement(work: Work, size: int) -> tuple[float, float]:
    """Return standard deviations in pixels: by how much pixels move in y, and against those 12 px beside."""
    where = torch.arange(size, dtype=torch.float32)[:, None].expand(size, size).repeat(16, 1, 1, 1)
    moved, _ = work((where, torch.zeros_like(where)))
    shift = (moved - where)[:, :, 48:-48, 48:-48]
    return float(shift.std()), float((shift[..., 12:] - shift[..., :-12]).std())


def same_task(size: int = 256) -> None:
    deforming = Augmentation(rotation=0, elastic=HERE.elastic, smoothness=24, flip=False, **STILL)
    sides = {
        "here": lambda pairs: here(pairs, deforming),
        "kornia": with_kornia(size, turning=False),
        "torchvision": one_by_one(with_torchvision(turning=False)),
    }
    print("displacement, standard deviation in px; against that 12 px beside:")
    for name, work in sides.items():
        print("    {:<12} {:.2f}; {:.2f}".format(name, *displacement(work, size)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of torch, for all sides")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    same_task()
    head()
    for size, batch in ((128, 8), (128, 32), (512, 8)):
        pairs = torch.rand(batch, 1, size, size), (torch.rand(batch, 1, size, size) > 0.5).float()
        name = f"{batch} x {size}²"
        others = {
            "kornia": with_kornia(size),
            "torchvision": one_by_one(with_torchvision()),
            "torchvision, one draw for all": with_torchvision(),
        }
        for other, work in others.items():
            mine, its = compare(f"{name} / {other}", lambda pairs=pairs: here(pairs),
                                lambda work=work, pairs=pairs: work(pairs), arguments.rounds)  # fmt: skip
            print(f"{'':<10}pairs/s: here {batch / mine:.0f}, {other} {batch / its:.0f}", flush=True)


if __name__ == "__main__":
    main()
