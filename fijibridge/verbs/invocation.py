"""A verb is called: all that it was given is checked, then it works, then what it found is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from fijibridge.errors import Cancelled, FijiBridgeError, OptionError
from fijibridge.renames import rename_attributes
from fijibridge.verbs.parameters import INPUTS, Kind, Parameter
from fijibridge.verbs.registry import Call, Verb
from fijibridge.verbs.results import Result

if TYPE_CHECKING:
    import xarray as xr


class Host(Protocol):
    """Where a verb is called from: what gives it its images, and shows what it found."""

    def take(self, parameter: Parameter, value: Any, taken: Mapping[str, xr.DataArray]) -> xr.DataArray:
        """Return the image or label image that a value names; `taken` are those before it, by parameter."""

    def drawn(self, parameter: Parameter, value: Any) -> bool:
        """Whether a value names no image of its own, but cells that are drawn on one: that is taken before."""

    def give(self, result: Result) -> None:
        """Show a result, or write it."""


def perform(verb: Verb, given: Mapping[str, Any], host: Host, call: Call | None = None) -> list[Result]:
    """Call a verb.

    Parameters
    ----------
    verb
        What is called.
    given
        Values by name, as text or as what they are.
    host
        Where it is called from.
    call
        What it tells while it works, and asks.

    Returns
    -------
    list
        The results, in the order in which the host was given them.

    Raises
    ------
    OptionError
        If options are unknown, missing or wrong: all of them are told, and nothing was done.
    FijiBridgeError
        Whatever the verb raises. Nothing is shown then.
    Cancelled
        If the caller asked for it.
    """
    call = call or Call()
    values = prepared(verb, given, host)
    call.check()
    results = verb.run(values, call)
    for result in results:
        host.give(result)
    return results


def prepared(verb: Verb, given: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """Return the value of each parameter, inputs as arrays, all of them checked: the first half of :func:`perform`.

    Raises
    ------
    OptionError
        If options are unknown, missing or wrong.
    """
    values = verb.read(given)
    return values | taken(verb.parameters, values, host)


def taken(parameters: list[Parameter], values: Mapping[str, Any], host: Host) -> dict[str, xr.DataArray]:
    """Return the inputs among values as arrays, images first, so that what is drawn finds the image that it lies on."""
    from fijibridge.image import as_cells

    inputs = [p for p in parameters if p.kind in INPUTS and values.get(p.name) is not None]
    arrays: dict[str, xr.DataArray] = {}
    problems = []
    for parameter in sorted(inputs, key=lambda p: (p.kind is Kind.cells, host.drawn(p, values[p.name]))):
        try:
            image = host.take(parameter, values[parameter.name], arrays)
            if parameter.kind is Kind.cells:
                image = image.copy(data=as_cells(image, str(image.name)))
            arrays[parameter.name] = image
        except Cancelled:
            raise
        except FijiBridgeError as error:
            problems.append(f"{parameter.name}: {error}")
    if problems:
        raise OptionError("; ".join(problems))
    return calibrated(arrays)


def calibrated(arrays: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Give inputs without a pixel size that of the first one that has it, if their planes are of one size."""
    from fijibridge.image import PIXEL, unit

    known = next((image for image in arrays.values() if unit(image) != PIXEL), None)
    if known is None:
        return arrays
    found = {}
    for name, image in arrays.items():
        axes = [d for d in map(str, image.dims) if d in "zyx"]
        if unit(image) == PIXEL and all(image.sizes[d] == known.sizes.get(d) for d in axes):
            image = image.assign_coords({d: known.coords[d] for d in axes if d in known.coords})
        found[name] = image
    return found


rename_attributes(__name__, {"in_turn": "verbs.device_queue:in_turn"})
