"""Definition of one segmentation method: its function, its parameters, and the values to tune over."""

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
    """A parameter that a method takes besides those of all methods; it is never negative.

    Attributes
    ----------
    default : float
        Value if none is given.
    help : str
        One line.
    unit : str
        ``"px"``, pixels of x, or ``"probability"``, from 0 to 1.
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
    """Checked parameters of a segmentation, lengths and sizes in pixels; see :func:`fijibridge.label_cells`.

    Attributes
    ----------
    method : str
        Name of the method.
    threshold : float
        Membrane probability from which a pixel is membrane.
    own : mapping
        Value of each parameter that the method itself defines; ``parameters["h"]`` is short for ``own["h"]``.
    grow : float
        Largest distance that cells grow, in pixels of x.
    rules : Rules
        Which regions stay, by size and place.
    step : tuple of float
        Distance between pixels per axis, in pixels of x.
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
        ``find(prob, parameters, sides)`` returns the cells of an image, or of a piece of it: ``int32``, ids from 1,
        0 = membrane, and :data:`~fijibridge.cells.segmentation.flooding.UNSURE` where the result may depend on pixels
        beyond the open `sides` of the piece. Import numpy and scipy inside it.
    summary : str
        What the method does, in one line.
    suits : str
        Images that it suits, in a few words.
    parameters : mapping
        Parameters that it takes besides those of all methods.
    grid : mapping
        Values that :func:`fijibridge.tune_segmentation` tries when it gets none; the defaults are among them.
    covers : bool
        True if its cells cover the whole image, so that a gap is cut between them; False if they lie between the
        membranes and grow into them.
    needs_halo : bool
        False if the cells of a piece of an image follow from the pixels of this piece alone.
    """

    find: Callable[[Floats32, Parameters, Open], Labels]
    summary: str
    suits: str
    grid: Mapping[str, tuple[float, ...]]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    covers: bool = False
    needs_halo: bool = True
