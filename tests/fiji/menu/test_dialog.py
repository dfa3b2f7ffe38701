"""Dialogs of verbs."""

from __future__ import annotations

MODEL = """
import torch
torch.manual_seed(0)
model = fb.Model(fb.UNet(depth=1, width=2).eval(), ("background", "membrane"))
FOLDER = os.environ["FOLDER"]
PATH = os.path.join(FOLDER, "a model.safetensors")
model.save(PATH)
pixels = np.random.default_rng(0).integers(0, 255, (60, 80)).astype(np.uint8)
"""


def test_a_dialog_asks_again_until_it_can_be_done_and_remembers(window):
    window(MODEL + """
fiji.show(pixels, name="raw.tif")
choose("Predict...")
first = dialog("FijiBridge Predict")
offered = read(first)
assert offered == {"Image": "raw.tif", "Model": "", "Flips": False, "Padding": "as trained", "Tile": "",
                   "Precision": "32", "Device": ""}, offered
press(first, "Help")
wait(lambda: any("HTMLDialog" in str(d.getClass()) for d in dialogs()))
close(next(d for d in dialogs() if "HTMLDialog" in str(d.getClass())))
fill(first, Model="/nowhere/m.safetensors", Flips=True, Tile="many", Device="cpu")
press(first, "OK")
told = message("FijiBridge Predict...")
assert "model is '/nowhere/m.safetensors': there is no such" in told and "tile is 'many'; expected" in told, told
assert max(map(len, told.splitlines())) <= 84
again = dialog("FijiBridge Predict")
assert read(again)["Tile"] == "many" and read(again)["Flips"] is True, "what was typed is kept"
fill(again, Model=PATH, Tile="32")
press(again, "OK")
wait(lambda: "raw_prob" in fiji.titles())
np.testing.assert_allclose(
    fiji.array("raw_prob"), fb.predict(model, fiji.image("raw.tif"), flips=True, tile=32, device="cpu").values,
    atol=1e-6)
choose("Predict...")
later_on = dialog("FijiBridge Predict")
held = read(later_on)
assert (held["Model"], held["Flips"], held["Tile"], held["Device"]) == (PATH, True, "32", "cpu"), held
press(later_on, "Cancel")
ended("FijiBridge Predict...")
assert not dialogs() and fiji.titles() == ["raw.tif", "raw_prob"]
prefs = open(os.path.join(FOLDER, ".imagej", "IJ_Prefs.txt")).read()
assert "fijibridge.predict.model=" in prefs
""")  # fmt: skip


def test_dialogs_fit_a_small_screen_and_tell_what_a_field_is_for(window):
    window("""
        fiji.show(np.zeros((20, 30), np.uint8), name="raw")
        for title in ("Train U-Net...", "Label Cells...", "Show Errors...", "Plan..."):
            choose(title)
            opened = dialog("FijiBridge " + title.removesuffix("..."))
            assert opened.getHeight() < 720 and opened.getWidth() < 1000, (title, opened.getSize())
            from fijibridge.verbs import verb_named
            verb = verb_named(title)
            assert len(fields(opened)) == len(verb.parameters), set(fields(opened))
            field = fields(opened)[verb.parameters[-1].title]
            event = jpype.JClass("java.awt.event.FocusEvent")

            def hinted():
                # again and again: the real focus of a slow display may come to the first field afterwards
                later(lambda: field.dispatchEvent(event(field, event.FOCUS_GAINED)))
                return verb.parameters[-1].help.split()[-1] in texts(opened)

            wait(hinted)
            press(opened, "Cancel")
    """)
