"""What a plan foretells against what the training then took: real trainings on cornea_alizarine.

    python benchmarks/forecast.py [--data ../shared/data] [--runs 5] [--device cpu] [--only NAME]

Each run has a process of its own: it plans, trains as planned, and compares. The reference is the training itself:
ratios are measured / forecast. On a shared CPU the median of five runs is to be within 0.7 and 1.3 (step, epoch,
total), and host memory never above 1; on a GPU peak allocation within 0.9 and 1.1, times within 0.85 and 1.15.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

CONFIGURATIONS = {
    "small": {"net": {"depth": 2, "width": 8}, "patch": (64, 64), "batch": 8, "batches": 40, "epochs": 3},
    "usual": {"net": {"depth": 3, "width": 16}, "patch": (128, 128), "batch": 4, "batches": 20, "epochs": 3},
    "large patches, watched": {
        "net": {"depth": 2, "width": 16}, "patch": (256, 256), "batch": 2, "batches": 12, "epochs": 3,
        "validation": ["19", "21"],
    },
}  # fmt: skip
PATTERNS = {"image": "*_image.png", "labels": "{name}_labels.tif", "region": "{name}_roi.png"}
TEST = ["15", "18", "29"]


def one(name: str, folder: Path, device: str) -> pd.DataFrame:
    """Plan, train as planned, and compare."""
    import torch

    import fijibridge as fb
    from fijibridge.nn.planning import Measurement

    class Clock:
        """Tells a measurement what a training does."""

        def __init__(self, measured: Measurement):
            self.measured = measured

        def progress(self, step: int, steps: int) -> None:
            self.measured.step()

        def metrics(self, epoch: int, values: dict[str, float]) -> None:
            self.measured.epoch() if epoch else self.measured.began()

    torch.manual_seed(0)
    told = dict(CONFIGURATIONS[name])
    net = fb.UNet(**told.pop("net"))
    split = {"test": TEST, "validation": told.pop("validation", [])}
    dataset = fb.Dataset.from_patterns(folder, **PATTERNS, split=split)
    made = fb.plan(net, dataset, device=device, **told)
    with Measurement(device, made.patches) as measured:
        fb.train(net, dataset, device=device, observers=[Clock(measured)], **made.settings())
    return made.forecast.compare(measured.result())


def repeated(name: str, arguments: argparse.Namespace) -> pd.DataFrame:
    """Run a configuration so many times, each in its own process; return forecast, measured and ratio of each."""
    runs = []
    for _ in range(arguments.runs):
        command = [sys.executable, __file__, "--child", name, "--data", arguments.data, "--device", arguments.device]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        runs.append(pd.DataFrame(json.loads(done.stdout.splitlines()[-1])))
    return pd.concat(runs, keys=range(len(runs)), names=["run", "quantity"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=list(CONFIGURATIONS))
    parser.add_argument("--child", choices=list(CONFIGURATIONS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        table = one(arguments.child, arguments.data / "cornea_alizarine", arguments.device)
        print(table.drop(index="patches").to_json())
        return
    print(f"{'':<26}{'':<14}{'forecast':>10}{'measured':>10}   ratio   (least to most)")
    for name in [arguments.only] if arguments.only else CONFIGURATIONS:
        table = repeated(name, arguments)
        for quantity, rows in table.groupby(level="quantity", sort=False):
            scale, unit = (2**20, "MiB") if str(quantity).endswith("bytes") else (1, "s")
            middle = rows.median()
            print(
                f"{name:<26}{str(quantity).rsplit('_', 1)[0] + ', ' + unit:<14}{middle['forecast'] / scale:10.4g}"
                f"{middle['measured'] / scale:10.4g}   {middle['ratio']:5.2f}   "
                f"({rows['ratio'].min():.2f} to {rows['ratio'].max():.2f})", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
