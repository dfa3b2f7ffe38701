"""Training a network, on Lightning, with a record that says what happened and why it ended."""

from fijibridge.nn.training.endings import Ending, explain
from fijibridge.nn.training.runs import Run
from fijibridge.nn.training.settings import Border, Settings
from fijibridge.nn.training.starting import train

__all__ = ["Border", "Ending", "Run", "Settings", "explain", "train"]
