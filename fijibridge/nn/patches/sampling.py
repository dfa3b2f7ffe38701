"""Registry of sampling modes, the rules by which patches are placed.

To add a mode, write its density in :mod:`fijibridge.nn.patches.density` and add an entry to :data:`MODES`. The type
:data:`Sampling`, the checks of settings, and the texts of verbs and command line derive from it. This module imports
neither numpy nor torch.
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
    """Rule by which patches are placed.

    Attributes
    ----------
    name : str
        Value of ``sampling=``.
    summary : str
        Rule in one line, for help and docs.
    density : str
        Function of :mod:`fijibridge.nn.patches.density` that rates pixels as centres of patches.
    images : str
        Choice of the image: ``"by density"``, in proportion to the sum over its pixels; ``"equal"``, each with the
        same probability; ``"in turn"``, one after the other.
    grid : bool
        Whether patches lie on a regular grid; density and choice of the image have no effect then.
    needs : tuple of str
        Optional arrays of a :class:`fijibridge.Sample` that the mode requires.
    """

    name: str
    summary: str
    density: str = "uniform"
    images: Literal["by density", "equal", "in turn"] = "by density"
    grid: bool = False
    needs: tuple[str, ...] = ()

    def density_function(self) -> Density:
        """Return the function that rates pixels as centres of patches."""
        found: Density = getattr(import_module("fijibridge.nn.patches.density"), self.density)
        return found


MODES: dict[str, SamplingMode] = {
    mode.name: mode
    for mode in (
        SamplingMode("positions", "all pixels of known truth are equally likely"),
        SamplingMode("images", "all images are equally likely, and all known pixels of one", images="equal"),
        SamplingMode("locations", "images take turns, all known pixels of one are equally likely", images="in turn"),
        SamplingMode("weighted", "pixels are as likely as their weight", density="by_weight", needs=("weight",)),
        SamplingMode("membranes", "pixels near membranes are ten times as likely", density="near_membranes"),
        SamplingMode("grid", "a regular grid, each place once an epoch, in random order", grid=True),
    )
}
"""Sampling modes by name."""

DEFAULT = "positions"
"""Mode of a sampler or training that names none."""

if TYPE_CHECKING:
    Sampling: TypeAlias = str
else:
    Sampling = Literal[tuple(MODES)]
    """Names of the sampling modes, as a type."""


def sampling_mode(name: str) -> SamplingMode:
    """Return the sampling mode of a name.

    Raises
    ------
    TrainingError
        If there is no mode of that name; lists the modes.

    Examples
    --------
    >>> sampling_mode("grid").summary
    'a regular grid, each place once an epoch, in random order'
    """
    if name not in MODES:
        raise TrainingError(f"sampling is {name!r}; expected one of {', '.join(MODES)}{hint(str(name), MODES)}")
    return MODES[name]


def check_sampling(name: str) -> None:
    """Raise :class:`fijibridge.errors.TrainingError` if there is no sampling mode of that name."""
    sampling_mode(name)


def mode_list(indent: str = "") -> str:
    """Return names and summaries as a list in reStructuredText or Markdown."""
    return "\n".join(f'{indent}- ``"{mode.name}"``: {mode.summary};' for mode in MODES.values())[:-1] + "."
