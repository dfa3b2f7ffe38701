"""Training of a network: settings, loop, validation, and a record that says why the training ended.

Names are loaded on first use, so that :mod:`fijibridge.nn.training.settings` can be imported without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fijibridge.nn.training.runs import Run
    from fijibridge.nn.training.settings import Border
    from fijibridge.nn.training.settings_schema import Settings
    from fijibridge.nn.training.trainer import train
    from fijibridge.nn.training.verdict import Ending, explain

__all__ = ["Border", "Ending", "Run", "Settings", "explain", "train"]

_HOME = {
    "Border": "settings", "Ending": "verdict", "Run": "runs", "Settings": "settings_schema", "explain": "verdict",
    "train": "trainer",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
