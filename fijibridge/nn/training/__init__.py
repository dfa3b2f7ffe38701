"""Training a network, on Lightning, with a record that says what happened and why it ended."""

from fijibridge.nn.training.runs import Run
from fijibridge.nn.training.settings import Border, Settings
from fijibridge.nn.training.trainer import train
from fijibridge.nn.training.verdict import Ending, explain

__all__ = ["Border", "Ending", "Run", "Settings", "explain", "train"]
