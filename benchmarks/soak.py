"""Work with windows for an hour, over and over: open, predict, show, measure, close; write what it takes as CSV.

Bounds, from the end of the warm-up to the last minute: threads ± 2, file handles ± 5, Java's heap after a collection
and resident memory at most + 5 %::

    python benchmarks/soak.py --out soak.csv                     # plain ImageJ
    python benchmarks/soak.py --fiji /path/to/Fiji --minutes 60  # a Fiji

Needs Xvfb. One line a minute: minute, rounds, threads of Java, threads of the process, file handles, heap in MB,
resident memory in MB, open images.
"""

from __future__ import annotations

import argparse
import csv
import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

WARM_UP = 10
COLUMNS = ("minute", "rounds", "java_threads", "threads", "handles", "heap_mb", "rss_mb", "images")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--fiji", default="embedded")
    options.add_argument("--minutes", type=int, default=60)
    options.add_argument("--out", type=Path, default=Path("soak.csv"))
    given = options.parse_args()
    if "SOAK_DISPLAY" not in os.environ:
        under_xvfb()
        return
    rows = soak(given)
    verdict(rows)


def under_xvfb() -> None:
    """Run this script again on a display of its own."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        display = f":{pipe.readline().strip()}"
    environment = {**os.environ, "DISPLAY": display, "SOAK_DISPLAY": display}
    try:
        raise SystemExit(subprocess.run([sys.executable, *sys.argv], env=environment).returncode)
    finally:
        server.terminate()


def soak(given: argparse.Namespace) -> list[dict[str, float]]:
    import jpype
    import torch

    import fijibridge as fb
    from fijibridge.fiji.windows import on_event_thread
    from fijibridge.files import write_image

    torch.set_num_threads(1)
    torch.manual_seed(0)
    fiji = fb.Fiji.start(given.fiji, mode="interactive")
    tissue = fb.synthetic_epithelium()
    folder = Path(tempfile.mkdtemp())
    write_image(tissue.image, folder / "evl.tif")
    target = fb.membrane_target(tissue.labels, membrane_width=3)
    run = fb.train(fb.UNet(depth=2, width=8), [(tissue.image, target)], epochs=5, batches=20, observers=[])
    ij = jpype.JClass("ij.IJ")
    rows: list[dict[str, float]] = []
    began, rounds, minute = time.monotonic(), 0, 0
    with given.out.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        while minute <= given.minutes:
            ij.open(str(folder / "evl.tif"))
            raw = fiji.image("evl.tif")
            prob = fb.predict(run.model, raw)
            fiji.show(prob, name="prob")
            cells = fb.label_cells(prob, method="watershed")
            fiji.show_labels(cells, over="evl.tif", name="cells")
            fiji.measure(cells, "evl.tif", ["area", "mean"])
            fiji.add_rois(fb.labels_to_rois(cells)[:50], "evl.tif")
            manager = jpype.JClass("ij.plugin.frame.RoiManager").getInstance2()
            on_event_thread(manager.reset)
            for title in ("evl.tif", "prob", "cells"):
                fiji.close_image(title)
            rounds += 1
            if time.monotonic() - began >= 60 * minute:
                rows.append(sample(minute, rounds, len(fiji.titles())))
                table.writerow(rows[-1])
                file.flush()
                minute += 1
    return rows


def sample(minute: int, rounds: int, images: int) -> dict[str, float]:
    """Measure what the process has, after collections of Python and Java."""
    import jpype

    gc.collect()
    for _ in range(3):
        jpype.JClass("java.lang.System").gc()
        time.sleep(0.3)
    runtime = jpype.JClass("java.lang.Runtime").getRuntime()
    java_threads = int(jpype.JClass("java.lang.Thread").getAllStackTraces().size())
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    heap = round((runtime.totalMemory() - runtime.freeMemory()) / 2**20, 1)
    resident = round(int(status["VmRSS"].split()[0]) / 1024, 1)
    handles = len(os.listdir("/proc/self/fd"))
    values = minute, rounds, java_threads, int(status["Threads"]), handles, heap, resident, images
    print(*values, threading.active_count(), flush=True)
    return dict(zip(COLUMNS, values, strict=True))


def verdict(rows: list[dict[str, float]]) -> None:
    """Compare the last minute with the end of the warm-up."""
    first, last = rows[min(WARM_UP, len(rows) - 1)], rows[-1]
    for name, bound in (("java_threads", 2), ("threads", 2), ("handles", 5)):
        print(f"{name}: {first[name]} to {last[name]}, bound ± {bound}: {abs(last[name] - first[name]) <= bound}")
    for name in ("heap_mb", "rss_mb"):
        growth = last[name] / first[name] - 1
        print(f"{name}: {first[name]} to {last[name]}, {growth:+.1%}, bound + 5 %: {growth <= 0.05}")
    print(f"{last['rounds'] - first['rounds']:.0f} rounds after the warm-up, {last['rounds']:.0f} in all")


if __name__ == "__main__":
    main()
