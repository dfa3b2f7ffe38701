"""Make fiji_menu.png, fiji_dialog.png and fiji_result.png: what a user of Fiji sees, photographed in a real ImageJ.

python docs/images/make_screenshots.py [FOLDER]

Without a display it opens one of its own (Xvfb, which must be installed).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

SECONDS = 30.0
SETTLED = 0.7
"""Seconds after which a window is drawn."""
BAR = 24
"""Height of the bar with a window's title."""


def run_on_own_display(folder: Path) -> None:
    """Open a display, and let a Python of its own take the pictures there: Java must end before the display does."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x1000x24", "-wr", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        subprocess.run([sys.executable, __file__, str(folder)], env={**os.environ, "DISPLAY": f":{number}"}, check=True)
    finally:
        server.terminate()
        server.wait(10)


def java(name: str) -> Any:
    """Return a class of Java's."""
    import jpype

    return jpype.JClass(name)


def wait(done: Callable[[], Any]) -> Any:
    """Wait for something to be, and return it."""
    end = time.monotonic() + SECONDS
    while not (found := done()):
        if time.monotonic() > end:
            raise TimeoutError("a window did not open")
        time.sleep(0.05)
    return found


def photograph(x: int, y: int, width: int, height: int) -> Image.Image:
    """Return what is on a part of the screen."""
    time.sleep(SETTLED)
    picture = java("java.awt.Robot")().createScreenCapture(java("java.awt.Rectangle")(x, y, width, height))
    pixels = np.array(picture.getRGB(0, 0, width, height, None, 0, width)[:], np.int64)
    channels = (pixels[:, None] >> np.array([16, 8, 0])) & 255
    return Image.fromarray(channels.astype(np.uint8).reshape(height, width, 3))


def window(shown: Any) -> Image.Image:
    """Photograph a window, with a bar that has its title: Xvfb has no window manager that would draw one."""
    bounds = shown.getBounds()
    picture = photograph(int(bounds.x), int(bounds.y), int(bounds.width), int(bounds.height))
    framed = Image.new("RGB", (picture.width + 2, picture.height + BAR + 1), "#9aa5b1")
    framed.paste(picture, (1, BAR))
    ImageDraw.Draw(framed).text((8, 4), str(shown.getTitle()), fill="black", font=ImageFont.load_default(14))
    return framed


def cropped(picture: Image.Image, margin: int = 8) -> Image.Image:
    """Cut a picture down to what is not white."""
    box = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).getbbox()
    left, top, right, bottom = box or (0, 0, *picture.size)
    return picture.crop(
        (max(left - margin, 0), max(top - margin, 0), min(right + margin, picture.width), bottom + margin)
    )


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture with few colours, so that the file is small."""
    picture.quantize(192, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


def laid_out(rows: list[list[Image.Image]], gap: int = 14) -> Image.Image:
    """Put pictures beside and below one another, on white."""
    width = max(sum(p.width + gap for p in row) for row in rows) + gap
    height = sum(max(p.height for p in row) + gap for row in rows) + gap
    sheet = Image.new("RGB", (width, height), "white")
    y = gap
    for row in rows:
        x = gap
        for picture in row:
            sheet.paste(picture, (x, y))
            x += picture.width + gap
        y += max(p.height for p in row) + gap
    return sheet


# --- the pictures -----------------------------------------------------------------------------------


def menu() -> Image.Image:
    """Open Plugins > FijiBridge with mouse and keys, and photograph it."""
    frame = java("ij.IJ").getInstance()
    frame.setLocation(20, 20)
    time.sleep(SETTLED)
    robot = java("java.awt.Robot")()
    robot.setAutoDelay(100)
    bar = frame.getMenuBar()
    names = [str(bar.getMenu(i).getLabel()) for i in range(int(bar.getMenuCount()))]
    metrics = frame.getFontMetrics(java("java.awt.Font")("Dialog", 0, 12))
    before = sum(int(metrics.stringWidth(name)) + 18 for name in names[: names.index("Plugins")])
    robot.mouseMove(20 + before + 25, 20 + 10)
    button = java("java.awt.event.InputEvent").BUTTON1_DOWN_MASK
    robot.mousePress(button)
    robot.mouseRelease(button)
    keys = java("java.awt.event.KeyEvent")

    def strike(*codes: int) -> None:
        for code in codes:
            robot.keyPress(code)
            robot.keyRelease(code)

    strike(keys.VK_UP, keys.VK_RIGHT)  # the last item, and what it opens
    picture = photograph(0, 0, 1000, 700)
    strike(keys.VK_ESCAPE, keys.VK_ESCAPE)
    return cropped(picture)


def dialog(verb: str, **texts: str) -> Image.Image:
    """Open the dialog of a verb, with texts as if they had been used last, photograph it, and cancel it."""
    from fijibridge.fiji.menu import dialog as menu_dialog
    from fijibridge.verbs import verb_named

    made = verb_named(verb)
    for name, text in texts.items():
        menu_dialog.offer(made, name, text)
    java("ij.IJ").doCommand(made.command)
    generic = java("ij.gui.GenericDialog")
    opened = wait(lambda: next((w for w in java("java.awt.Window").getWindows() if shown(w, generic)), None))
    picture = window(opened)
    closing = java("java.awt.event.WindowEvent")
    opened.dispatchEvent(closing(opened, closing.WINDOW_CLOSING))
    wait(lambda: not opened.isVisible())
    return picture


def shown(candidate: Any, kind: Any) -> bool:
    """Tell whether a window is of a kind, and visible."""
    return isinstance(candidate, kind) and bool(candidate.isVisible())


def result(fiji: Any) -> Image.Image:
    """Photograph images with what was found in them, and the table of matches."""
    manager = java("ij.WindowManager")
    manager.getWindow("Matches cells").setBounds(20, 900, 300, 90)
    table = manager.getWindow("Matches")
    table.setBounds(20, 650, 970, 110)
    windows = [fiji._find(title).getWindow() for title in ("evl_01.tif", "evl_01_prob", "evl_01_cells")]
    for place, opened in enumerate(windows):
        opened.setLocation(20 + 400 * place, 200)
    pictures = [window(opened) for opened in windows]
    return laid_out([pictures, [window(table)]])


def trained(folder: Path) -> tuple[Any, Path]:
    """Return a drawn tissue and a model that was trained on others like it, for a minute."""
    import fijibridge as fb

    drawn = [fb.synthetic_epithelium((256, 300), cell_size=28, seed=seed) for seed in (1, 2, 3)]
    pairs = [(tissue.image, fb.membrane_target(tissue.labels, 3)) for tissue in drawn[1:]]
    settings = {"epochs": 4, "batches": 30, "batch": 4, "patch": (96, 96), "forecast": False, "observers": []}
    run = fb.train(fb.UNet(depth=2, width=8), pairs, **settings)
    path = folder / "model.safetensors"
    run.model.save(path)
    return drawn[0], path


def main(folder: Path) -> None:
    """Start ImageJ, work in it, and take the pictures."""
    import scyjava

    import fijibridge as fb

    with tempfile.TemporaryDirectory() as home:
        scyjava.config.add_option(f"-Duser.home={home}")  # whose preferences are not the user's
        fiji = fb.Fiji.start("embedded", mode="interactive")
        save(menu(), folder / "fiji_menu.png")

        tissue, model = trained(Path(home))
        fiji.show_labels(tissue.labels, name="evl_01_truth")
        fiji.show(tissue.image, name="evl_01.tif")
        predict = dialog("predict", model="/data/evl/run_07", flips="true")
        train = dialog("train_u_net", folder="/data/evl", out="/data/evl/run_08", epochs="100", patience="15")
        save(laid_out([[train], [predict]]), folder / "fiji_dialog.png")

        fiji.run_macro(f"""
            run("FijiBridge Predict...", "image=evl_01.tif model=[{model}]");
            run("FijiBridge Label Cells...", "image=evl_01_prob outlines=false");
            run("FijiBridge Match Labels...", "true=evl_01_truth predicted=evl_01_cells over=evl_01.tif");
        """)
        save(result(fiji), folder / "fiji_result.png")
        fiji.close()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    if os.environ.get("DISPLAY"):
        main(target)
    else:
        run_on_own_display(target)
