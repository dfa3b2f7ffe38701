"""Definition of a segmentation method: its function, its parameters, and the values that tuning tries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fijibridge.arrays import Floats32, Labels
    from fijibridge.cells.distances import Spacing
    from fijibridge.cells.segmentation.flooding import Open
    from fijibridge.cells.segmentation.regions import Rules

THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Thresholds that tuning tries by default."""

WIDTHS = (0.5, 1.0, 2.0, 3.0)
"""Values of h, in pixels, that tuning tries by default."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a method, in addition to those that all methods have; its value is never negative.

    Attributes
    ----------
    default : float
        Value if none is given.
    help : str
        One line of help.
    unit : str
        ``"px"`` (x pixels), or ``"probability"`` (from 0 to 1).
    """

    default: float
    help: str
    unit: str = "px"

    @property
    def high(self) -> float:
        """Largest value allowed."""
        return 1.0 if self.unit == "probability" else inf


@dataclass(frozen=True)
class Parameters:
    """Checked parameters of a segmentation, with lengths and sizes in pixels; see :func:`fijibridge.label_cells`.

    Attributes
    ----------
    method : str
        Name of the method.
    threshold : float
        Smallest probability at which a pixel is membrane.
    own : mapping
        Value of each parameter that the method itself defines; ``parameters["h"]`` is short for ``own["h"]``.
    grow : float
        Largest distance that cells grow, in x pixels.
    rules : Rules
        Rules for which regions are kept.
    step : tuple of float
        Distance between pixels along each axis, in x pixels.
    """

    method: str
    threshold: float
    own: Mapping[str, float]
    grow: float
    rules: Rules
    step: Spacing

    def __getitem__(self, name: str) -> float:
        return self.own[name]


@dataclass(frozen=True)
class Method:
    """A way to find cells between membranes.

    Attributes
    ----------
    find : callable
        ``find(prob, parameters, sides)`` returns the cells of an image, or of a piece of an image: ``int32``, ids from
        1, 0 = membrane, and :data:`~fijibridge.cells.segmentation.flooding.UNSURE` where the result may depend on
        pixels beyond the open `sides` of the piece. Import numpy and scipy only inside this function.
    summary : str
        One line about what the method does.
    suits : str
        A few words about the images that the method is suitable for.
    parameters : mapping
        Parameters in addition to those that all methods have.
    grid : mapping
        Values that :func:`fijibridge.tune_segmentation` tries by default, which include the defaults of `parameters`.
    covers : bool
        True if the cells cover the whole image, so that gaps are cut between them; False if cells are between the
        membranes and grow into them.
    needs_halo : bool
        False if the cells of a piece of an image depend only on the pixels of this piece.
    """

    find: Callable[[Floats32, Parameters, Open], Labels]
    summary: str
    suits: str
    grid: Mapping[str, tuple[float, ...]]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    covers: bool = False
    needs_halo: bool = True
