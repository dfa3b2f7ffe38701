from __future__ import annotations

import pytest
import torch

from fijibridge.errors import RenamedWarning
from fijibridge.nn import devices, memory
from fijibridge.nn.devices import autocast, resolve_precision
from fijibridge.nn.patches.size import patch_size
from fijibridge.nn.planning import limits
from fijibridge.nn.prediction import tiles

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("asked", "found"), [(None, "32"), (32, "32"), ("32-true", "32"), ("auto", "32"), ("16-mixed", "16")]
)
def test_precisions_of_settings_and_of_lightning(asked, found):
    assert resolve_precision(asked, CPU) == found


@pytest.mark.parametrize(("precision", "dtype"), [("32", torch.float32), ("bf16", torch.bfloat16)])
def test_torch_computes_in_the_precision(precision, dtype):
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (devices, "memory", devices.device_memory), (memory, "patch_size", patch_size),
        (limits, "bytes_of", memory.parse_bytes), (tiles, "Border", tiles.Padding), (tiles, "BORDERS", tiles.PADDINGS),
    ],
)  # fmt: skip
def test_old_names(module, old, new):
    with pytest.warns(RenamedWarning, match=rf"{module.__name__}\.{old} was renamed to"):
        assert getattr(module, old) is new
