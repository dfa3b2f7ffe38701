"""Calls of verbs: check all options, run the function, show its results."""

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
    """Caller of a verb, which provides images and shows results: Fiji, a worker, the command line."""

    def take(self, parameter: Parameter, value: Any, taken: Mapping[str, xr.DataArray]) -> xr.DataArray:
        """Return the image or label image that a value names; `taken` has the images returned before, by parameter."""

    def drawn(self, parameter: Parameter, value: Any) -> bool:
        """Return whether a value names cells that are drawn on an image; this image must be returned first."""

    def give(self, result: Result) -> None:
        """Show a result, or write it."""


def perform(verb: Verb, given: Mapping[str, Any], host: Host, call: Call | None = None) -> list[Result]:
    """Call a verb.

    Parameters
    ----------
    verb
        The verb.
    given
        Value of each option by name; a value may be given as text.
    host
        Provides the images that options name, and shows the results.
    call
        Object that receives progress and status text, and can cancel the verb.

    Returns
    -------
    list
        The results, in the order in which the host showed them.

    Raises
    ------
    OptionError
        If any option is unknown, missing or invalid. The message lists every such option. The verb does not run.
    FijiBridgeError
        If the verb raises it. The host then shows no results.
    Cancelled
        If the verb was cancelled through `call`.
    """
    call = call or Call()
    values = prepared(verb, given, host)
    call.check()
    results = verb.run(values, call)
    for result in results:
        host.give(result)
    return results


def prepared(verb: Verb, given: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """Check options and get the images that they name: the first half of :func:`perform`.

    Returns
    -------
    dict
        A value for each parameter; images and cells as arrays.

    Raises
    ------
    OptionError
        If options are unknown, missing or invalid.
    """
    values = verb.read(given)
    return values | taken(verb.parameters, values, host)


def taken(parameters: list[Parameter], values: Mapping[str, Any], host: Host) -> dict[str, xr.DataArray]:
    """Get the images and cells that values name from a host, images first because cells may be drawn on them."""
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
    """Copy the pixel size of the first calibrated input to uncalibrated inputs of the same size."""
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
