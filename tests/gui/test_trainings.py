"""A training seen in ImageJ's windows, under Xvfb."""

from __future__ import annotations

from tests.gui.test_windows import run

TRAIN = """
import torch
torch.manual_seed(0)
tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=1)
pair = tissue.image, fb.membrane_target(tissue.labels, 3)
QUICK = {"batches": 4, "batch": 2, "patch": (32, 32), "forecast": False, "validation": [pair]}
"""


def test_a_training_has_one_plot_and_one_picture_updated_in_place(python, display):
    run(
        python,
        display,
        TRAIN
        + """
going = fb.train(fb.UNet(depth=1, width=4), [pair], epochs=10_000, background=True, **QUICK)
wait(lambda: {"Training curves", "Training picture"} <= set(fiji.titles()), 60)
plot, picture = (fiji._find(f"Training {kind}").getWindow() for kind in ("curves", "picture"))
assert isinstance(plot, jpype.JClass("ij.gui.PlotWindow"))
wait(lambda: plot.getPlot() is not None)  # which a window gets after its title
points = len(plot.getXValues())
wait(lambda: len(plot.getXValues()) > points + 2, 60)
assert fiji._find("Training curves").getWindow() == plot
before = fiji.array("Training picture")
wait(lambda: (fiji.array("Training picture") != before).any(), 60)
assert fiji._find("Training picture").getWindow() == picture
assert "train_loss" in str(jpype.JClass("ij.IJ").getLog())

plot.close()  # by the user
seen = len(going.history)
wait(lambda: len(going.history) > seen + 3, 60)
assert "Training curves" not in fiji.titles() and going.running
fiji.show(np.zeros((20, 30), np.uint8), name="meanwhile")
going.stop("seen enough")
assert going.wait(60).stopped_because.startswith("seen enough")
assert "training ended: seen enough" in str(jpype.JClass("ij.IJ").getLog())
assert set(fiji.titles()) == {"Training picture", "meanwhile"}
""",
    )


def test_a_run_with_its_tables(python, display):
    run(
        python,
        display,
        TRAIN
        + """
import tempfile
folder = os.path.join(tempfile.mkdtemp(), "far")
fb.train(fb.UNet(depth=1, width=4), [pair], epochs=2, metric="val_f1", observers=[], out=folder, **QUICK)
assert fiji.titles() == []
record = fiji.show_run(folder)
assert fiji.titles() == ["far curves", "far picture"]
assert sorted(fiji.tables()) == ["far history", "far matches", "far settings"]
assert fiji.table("far matches")["image"].tolist() == ["validation image 0", "total"]
np.testing.assert_allclose(fiji.table("far history")["train_loss"], record.history["train_loss"])
assert "far: all 2 epochs done" in str(jpype.JClass("ij.IJ").getLog())
""",
    )
