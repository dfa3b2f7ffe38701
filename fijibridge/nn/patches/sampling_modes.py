"""Registry of sampling modes, the rules for placing patches.

To add a mode, write its density in :mod:`fijibridge.nn.patches.density` and add an entry to :data:`MODES`. The type
:data:`Sampling`, the checks of settings, and the help of verbs and the command line are derived from :data:`MODES`.
This module imports neither numpy nor torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias

from fijibridge.errors import TrainingError
from fijibridge.messages import hint

if TYPE_CHECKING:
    from fijibridge.nn.patches.density import Density


@dataclass(frozen=True)
class SamplingMode:
    """Rule for placing patches.

    Attributes
    ----------
    name : str
        Value of ``sampling=``.
    summary : str
        Description of the rule in one line, for help and documentation.
    density : str
        Name of the function that computes the sampling density of patch centres; it is defined in
        :mod:`fijibridge.nn.patches.density`.
    images : str
        Choice of the image: ``"by density"``, with a probability proportional to its total density; ``"equal"``,
        all with the same probability; ``"in turn"``, one after the other.
    grid : bool
        Whether patches lie on a regular grid; if so, `density` and `images` have no effect.
    """

    name: str
    summary: str
    density: str = "uniform"
    images: Literal["by density", "equal", "in turn"] = "by density"
    grid: bool = False

    def density_function(self) -> Density:
        """Return the function that computes the sampling density of patch centres."""
        found: Density = getattr(import_module("fijibridge.nn.patches.density"), self.density)
        return found


MODES: dict[str, SamplingMode] = {
    mode.name: mode
    for mode in (
        SamplingMode("positions", "all pixels with known truth are equally likely"),
        SamplingMode(
            "images", "all images are equally likely, and so are the known pixels within an image", images="equal"
        ),
        SamplingMode(
            "locations", "images take turns, and the known pixels within an image are equally likely", images="in turn"
        ),
        SamplingMode("weighted", "the probability of a pixel is proportional to its weight", density="by_weight"),
        SamplingMode("membranes", "pixels near membranes are ten times as likely", density="near_membranes"),
        SamplingMode("grid", "each place of a regular grid is used once per epoch, in random order", grid=True),
    )
}
"""Sampling modes by name."""

DEFAULT = "positions"
"""Default sampling mode."""

if TYPE_CHECKING:
    Sampling: TypeAlias = str
else:
    Sampling = Literal[tuple(MODES)]
    """Names of the sampling modes, as a type."""


def sampling_mode(name: str) -> SamplingMode:
    """Return the sampling mode with a given name.

    Raises
    ------
    TrainingError
        If there is no mode with this name; the message lists the modes.

    Examples
    --------
    >>> sampling_mode("grid").summary
    'each place of a regular grid is used once per epoch, in random order'
    """
    if name not in MODES:
        raise TrainingError(f"sampling is {name!r}; expected one of {', '.join(MODES)}{hint(str(name), MODES)}")
    return MODES[name]


def check_sampling(name: str) -> None:
    """Raise :class:`fijibridge.errors.TrainingError` if there is no sampling mode with this name."""
    sampling_mode(name)


def mode_list(indent: str = "") -> str:
    """Return the names and summaries of the modes as a list in reStructuredText or Markdown."""
    return "\n".join(f'{indent}- ``"{mode.name}"``: {mode.summary};' for mode in MODES.values())[:-1] + "."
