"""Checkpoints: runs that can be resumed, and runs that are refused."""

from __future__ import annotations

import json

import pytest
import torch

from fijibridge.errors import TrainingError
from fijibridge.nn.training import train
from fijibridge.nn.training.checkpoints import LAST, MUST_EQUAL, checkpoint_to_resume, read_checkpoint, write_checkpoint
from tests.nn.observers import Interrupting
from tests.trained import QUICK, small_net


@pytest.fixture
def stopped(pair, tmp_path):
    """A run that was stopped in its second epoch."""
    run = train(small_net(), [pair], out=tmp_path / "run", observers=[Interrupting(6)], membrane_width=2, **QUICK)
    return tmp_path / "run", run.settings


def test_a_run_of_version_01_is_resumed(pair, stopped):
    """Its record has old names of settings, and its checkpoint this name for what the recorder keeps."""
    folder, _ = stopped
    record = json.loads((folder / "run.json").read_text())
    settings = record["settings"]
    settings["width"], settings["border"] = settings.pop("membrane_width"), settings.pop("border_weight")
    (folder / "run.json").write_text(json.dumps(record))
    assert list(read_checkpoint(folder / LAST)["callbacks"]) == ["Recorder"]
    again = train(small_net(), [pair], out=folder, resume=True, observers=[], membrane_width=2, **QUICK)
    assert "all 2 epochs done" in again.stopped_because


def test_settings_that_must_be_equal_are_those_whose_metadata_says_so(stopped):
    folder, settings = stopped
    assert checkpoint_to_resume(folder, True, settings | {"patience": 7, "save_minutes": 1}) == folder / LAST
    for name in MUST_EQUAL:
        with pytest.raises(TrainingError, match=f"{name}: .* then, something else now"):
            checkpoint_to_resume(folder, True, settings | {name: "something else"})


def test_a_checkpoint_without_a_record(stopped):
    folder, settings = stopped
    (folder / "run.json").unlink()
    with pytest.raises(TrainingError, match=r"run\.json, the settings of the run to resume, cannot be read"):
        checkpoint_to_resume(folder, True, settings)


def test_resume_without_a_folder():
    with pytest.raises(TrainingError, match="resume needs the folder of the run"):
        checkpoint_to_resume(None, True, {})


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch):
    write_checkpoint({"fijibridge": 1, "weights": torch.ones(3)}, tmp_path / LAST)

    def full(*_):
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"does not fit on the disk \(.* MiB free\)"):
        write_checkpoint({"fijibridge": 2}, tmp_path / LAST)
    assert read_checkpoint(tmp_path / LAST)["weights"].tolist() == [1, 1, 1]


def test_a_checkpoint_with_a_changed_byte_is_refused_or_the_same(tmp_path):
    torch.manual_seed(0)
    content = {"fijibridge": 1, "weights": {f"w{n}": torch.randn(40, 50) for n in range(5)}, "rows": [{"loss": 0.5}]}
    path = tmp_path / "a.ckpt"
    write_checkpoint(content, path)
    whole = path.read_bytes()
    places = torch.randint(0, len(whole), (150,)).tolist()
    refused = 0
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            read = read_checkpoint(path)
        except TrainingError as error:
            assert "cannot be read as a checkpoint" in str(error) or "code" in str(error)  # noqa: PT017
            refused += 1
            continue
        assert read["rows"] == content["rows"], place
        assert all(torch.equal(read["weights"][name], weight) for name, weight in content["weights"].items()), place
    assert refused > 100
    path.write_bytes(whole)
    assert torch.equal(read_checkpoint(path)["weights"]["w0"], content["weights"]["w0"])
