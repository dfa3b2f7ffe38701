"""Propagation of input spans through a network's own forward pass, layer by layer.

The forward pass runs on an empty batch, in a mode that intercepts every torch call. Each tensor has one :class:`Span`
per spatial axis: the first and last input pixel that affect each of its positions. For each call, a rule
(:data:`_RULES`) computes the spans of the result from those of the arguments: a convolution widens them, a pooling
subsamples them, an addition unites them. The spans of the output are the receptive field. A call with unknown geometry
raises :class:`CannotFollow`, so the answer is never wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fijibridge.nn.inference import blank_images
from fijibridge.nn.receptive_field.spans import (
    Span,
    averaged,
    convolved,
    interpolated,
    joined,
    padded,
    transposed,
    union,
    whole,
)

Axes = tuple[Span | None, ...]
"""Span for each axis of a tensor; None for axes that are not spatial (batch, channels)."""


class CannotFollow(Exception):
    """Raised for a call in a forward pass whose geometry is unknown."""


def follow(net: nn.Module, channels: int, sides: Sequence[int]) -> list[Span]:
    """Run a network on an empty batch and return the spans of its output, one per spatial axis.

    Raises
    ------
    CannotFollow
        If the forward pass applies an operation with unknown geometry to the spatial axes.

    Notes
    -----
    The batch has 0 images, so nothing is computed, and no state changes. Calls without a rule are assumed to work
    position by position, like activations and normalisations; statistics over the whole image, such as those of
    instance and group normalisation, are ignored.
    """
    x = blank_images(net, 0, channels, sides)
    with torch.no_grad(), _Following() as mode:
        mode.mark(x, (None, None, *(Span.of_input(n) for n in sides)))
        out = _in_evaluation(net)(x)
    if not isinstance(out, Tensor):
        raise CannotFollow(f"the network returns a {type(out).__name__}")
    found = mode.axes(out)
    if found is None or out.ndim != len(sides) + 2 or any(s is None for s in found[2:]):
        raise CannotFollow("the output has no spans for its spatial axes")
    return [s for s in found[2:] if s is not None]


def _in_evaluation(net: nn.Module) -> nn.Module:
    """Return a copy of a network in evaluation mode that shares its weights."""
    return copy.deepcopy(net, {id(t): t for t in (*net.parameters(), *net.buffers())}).eval()


class _Following(TorchFunctionMode):
    """Intercept every torch call, and assign spans to its results."""

    _KEY = "_fijibridge_spans"

    def mark(self, tensor: Tensor, axes: Axes) -> Tensor:
        tensor.__dict__[self._KEY] = axes
        return tensor

    def axes(self, tensor: Any) -> Axes | None:
        return tensor.__dict__.get(self._KEY) if isinstance(tensor, Tensor) else None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        spanned = [t for t in _tensors([*args, *kwargs.values()]) if self.axes(t) is not None]
        before = {id(t): self.axes(t) for t in spanned}  # read before the call: an in-place call changes its argument
        # instance_norm rejects an empty batch; its result has the same positions as its input.
        out = args[0].clone() if func.__name__ == "instance_norm" else func(*args, **kwargs)
        if not spanned or not any(True for _ in _tensors([out])):
            return out
        name = func.__name__.lstrip("_").removesuffix("_") if func.__name__ != "__getitem__" else "getitem"
        rule = _RULES.get(name, _elementwise)
        call = _Call(name, args, kwargs, before)
        for number, tensor in enumerate(_tensors([out])):
            if tensor.ndim and tensor.is_floating_point():
                found = rule(call, tensor, number)
                _check(name, tensor, found)
                self.mark(tensor, found)
        return out


class _Call:
    """A torch call: its arguments by position or name, and the spans of its tensors."""

    def __init__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], spans: dict[int, Any]):
        self.name, self.args, self.kwargs, self.spans = name, args, kwargs, spans

    def get(self, place: int, name: str, default: Any = None) -> Any:
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    @property
    def source(self) -> Tensor:
        found = self.get(0, "input")
        if not isinstance(found, Tensor) or id(found) not in self.spans:
            raise CannotFollow(f"{self.name}: its first argument has no spans")
        return found

    @property
    def axes(self) -> Axes:
        found: Axes = self.spans[id(self.source)]
        return found

    def refuse(self) -> CannotFollow:
        return CannotFollow(f"{self.name} mixes pixels in an unknown way")


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
        elif isinstance(value, dict):
            yield from _tensors(value.values())


def _check(name: str, tensor: Tensor, axes: Axes) -> None:
    """Refuse spans that do not match the shape of a result, because the rule is wrong or the call is unusual."""
    right = len(axes) == tensor.ndim and all(s is None or len(s) == n for s, n in zip(axes, tensor.shape, strict=True))
    if not right:
        raise CannotFollow(f"{name} returned {tuple(tensor.shape)}, which its rule does not explain")


def _each(value: Any, count: int) -> list[int]:
    """Return a kernel parameter (size, stride ...) as one number per axis."""
    return [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)] * count


# --- rules: (call, one tensor of its result, number of that tensor) -> spans of the tensor ------------


def _elementwise(call: _Call, out: Tensor, _: int) -> Axes:
    """Unite the spans of all arguments position by position: activations, normalisations, sums, products."""
    if call.name in _MIXING:
        raise call.refuse()
    spanned = list(call.spans.values())
    axes: list[Span | None] = []
    for back in range(1, out.ndim + 1):  # from the last axis, as broadcasting aligns shapes
        found = [a[-back] for a in spanned if len(a) >= back and a[-back] is not None]
        axes.append(union(found) if found else None)
    return tuple(reversed(axes))


def _convolution(call: _Call, out: Tensor, _: int) -> Axes:
    weight = call.get(1, "weight")
    n = weight.ndim - 2
    stride, dilation = _each(call.get(3, "stride", 1), n), _each(call.get(5, "dilation", 1), n)
    padding = call.get(4, "padding", 0)
    pads = [_same(k, d) if padding == "same" else (0, 0) for k, d in zip(weight.shape[2:], dilation, strict=True)]
    if not isinstance(padding, str):
        pads = [(p, p) for p in _each(padding, n)]
    return _per_axis(call, n, lambda s, i: convolved(s, weight.shape[2 + i], stride[i], pads[i], dilation[i]))


def _same(size: int, dilation: int) -> tuple[int, int]:
    total = dilation * (size - 1)
    return total // 2, total - total // 2


def _up_convolution(call: _Call, out: Tensor, _: int) -> Axes:
    weight = call.get(1, "weight")
    n = weight.ndim - 2
    stride, padding = _each(call.get(3, "stride", 1), n), _each(call.get(4, "padding", 0), n)
    extra, dilation = _each(call.get(5, "output_padding", 0), n), _each(call.get(7, "dilation", 1), n)
    return _per_axis(
        call, n, lambda s, i: transposed(s, weight.shape[2 + i], stride[i], padding[i], extra[i], dilation[i])
    )


def _per_axis(call: _Call, n: int, rule: Callable[[Span, int], Span]) -> Axes:
    """Apply a rule to the last n axes, and keep the other axes."""
    axes = call.axes
    if any(s is None for s in axes[-n:]):
        raise call.refuse()
    return (*axes[:-n], *(rule(s, i) for i, s in enumerate(axes[-n:]) if s is not None))


def _pooling(call: _Call, out: Tensor, _: int) -> Axes:
    n = int(call.name.split("pool")[1][0])
    size = _each(call.get(1, "kernel_size"), n)
    stride = call.get(2, "stride")
    steps = size if stride is None or stride == [] else _each(stride, n)
    padding = _each(call.get(3, "padding", 0), n)
    is_max = call.name.startswith("max")
    dilation = _each(call.get(4, "dilation", 1), n) if is_max else [1] * n
    up = bool(call.get(5, "ceil_mode", False) if is_max else call.get(4, "ceil_mode", False))
    return _per_axis(call, n, lambda s, i: convolved(s, size[i], steps[i], (padding[i], padding[i]), dilation[i], up))


def _adaptive_pooling(call: _Call, out: Tensor, _: int) -> Axes:
    n = int(call.name.split("pool")[1][0])
    return _per_axis(call, n, lambda s, i: whole(s, out.shape[out.ndim - n + i]))


def _step(factor: float | None) -> float | None:
    """Return the number of input pixels per output pixel; None if no scale factor is given."""
    return None if factor is None else 1 / factor


_KINDS = {"linear": "linear", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


def _interpolation(call: _Call, out: Tensor, _: int) -> Axes:
    n = out.ndim - 2
    mode, corners = call.get(3, "mode", "nearest"), bool(call.get(4, "align_corners", False))
    if call.get(6, "antialias", False):
        raise call.refuse()
    factor = call.get(2, "scale_factor")
    given = None if factor is None or call.get(5, "recompute_scale_factor", None) else factor
    factors = [None] * n if given is None else list(given) if isinstance(given, list | tuple) else [given] * n
    if mode == "area":
        return _per_axis(call, n, lambda s, i: averaged(s, out.shape[2 + i]))
    kind = _KINDS.get(mode, mode)
    return _per_axis(
        call, n,
        lambda s, i: interpolated(s, out.shape[2 + i], _step(factors[i]), kind, corners),
    )  # fmt: skip


def _pixel_shuffle(call: _Call, out: Tensor, _: int) -> Axes:
    r = int(call.get(1, "upscale_factor"))
    return _per_axis(call, 2, lambda s, i: interpolated(s, len(s) * r, None, "nearest", False))


def _pixel_unshuffle(call: _Call, out: Tensor, _: int) -> Axes:
    r = int(call.get(1, "downscale_factor"))
    return _per_axis(call, 2, lambda s, i: convolved(s, r, r))


def _padding(call: _Call, out: Tensor, _: int) -> Axes:
    """Pad or crop; torch lists the numbers of pixels before and after each axis, starting with the last axis."""
    pad, mode = list(call.get(1, "pad")), call.get(2, "mode", "constant")
    axes = list(call.axes)
    for number in range(len(pad) // 2):
        span, before, after = axes[-1 - number], pad[2 * number], pad[2 * number + 1]
        if span is not None:
            axes[-1 - number] = padded(span, int(before), int(after), mode)
    return tuple(axes)


def _concatenation(call: _Call, out: Tensor, _: int) -> Axes:
    """Join the spans of all parts along the axis of concatenation, and unite them along the other axes."""
    parts = [call.spans.get(id(t), (None,) * t.ndim) for t in call.get(0, "tensors")]
    dim = int(call.get(1, "dim", 0)) % out.ndim
    axes: list[Span | None] = []
    for number, column in enumerate(zip(*parts, strict=True)):
        found = [s for s in column if s is not None]
        if number == dim and found and len(found) < len(column):
            raise call.refuse()
        axes.append(None if not found else joined(found) if number == dim else union(found))
    return tuple(axes)


def _stack(call: _Call, out: Tensor, _: int) -> Axes:
    dim = int(call.get(1, "dim", 0)) % out.ndim
    parts = [call.spans[id(t)] for t in call.get(0, "tensors") if id(t) in call.spans]
    axes = [union([s for s in column if s is not None]) if column[0] is not None else None
            for column in zip(*parts, strict=True)]  # fmt: skip
    return (*axes[:dim], None, *axes[dim:])


def _item(call: _Call, out: Tensor, _: int) -> Axes:
    """Index as in numpy: an entry consumes one axis, an ellipsis all remaining axes, and None adds an axis."""
    where = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    axes = list(call.axes)
    taken = sum(1 for w in where if w is not None and w is not Ellipsis)
    result: list[Span | None] = []
    for w in where:
        if w is Ellipsis:
            fill = len(axes) - taken
            result += axes[:fill]
            axes = axes[fill:]
        elif w is None:
            result.append(None)
        else:
            result += _one_item(call, axes.pop(0), w)
            taken -= 1
    return tuple(result + axes)


def _one_item(call: _Call, span: Span | None, where: Any) -> list[Span | None]:
    if isinstance(where, slice):
        return [None if span is None else span[where]]
    if isinstance(where, int) and span is None:
        return []
    raise call.refuse()


def _narrow(call: _Call, out: Tensor, _: int) -> Axes:
    dim, start, length = (int(call.get(i, k)) for i, k in ((1, "dim"), (2, "start"), (3, "length")))
    axes = list(call.axes)
    span = axes[dim]
    axes[dim] = None if span is None else span[slice(start, start + length)]
    return tuple(axes)


def _pieces(call: _Call, out: Tensor, number: int) -> Axes:
    """Keep all spans, for ``split`` and ``chunk`` along an axis that is not spatial."""
    dim = int(call.get(2, "dim", 0))
    if call.axes[dim] is not None:
        raise call.refuse()
    return call.axes


def _unbind(call: _Call, out: Tensor, number: int) -> Axes:
    axes, dim = list(call.axes), int(call.get(1, "dim", 0))
    if axes.pop(dim) is not None:
        raise call.refuse()
    return tuple(axes)


def _permutation(call: _Call, out: Tensor, _: int) -> Axes:
    dims = call.args[1:] if len(call.args) > 1 else call.kwargs["dims"]
    flat = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return tuple(call.axes[int(d)] for d in flat)


def _transposition(call: _Call, out: Tensor, _: int) -> Axes:
    a, b = int(call.get(1, "dim0")), int(call.get(2, "dim1"))
    axes = list(call.axes)
    axes[a], axes[b] = axes[b], axes[a]
    return tuple(axes)


def _move(call: _Call, out: Tensor, _: int) -> Axes:
    n = len(call.axes)
    source = [int(d) % n for d in _list(call.get(1, "source"))]
    target = [int(d) % n for d in _list(call.get(2, "destination"))]
    order = [i for i in range(n) if i not in source]
    for to, from_ in sorted(zip(target, source, strict=True)):
        order.insert(to, from_)
    return tuple(call.axes[i] for i in order)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _shape(call: _Call, out: Tensor, _: int) -> Axes:
    """Keep all axes from the first spatial one on, for ``view``, ``reshape``, ``expand``, ``unsqueeze`` ..."""
    space = [i for i, s in enumerate(call.axes) if s is not None]
    kept = len(call.axes) - min(space)
    same = tuple(out.shape[-kept:]) == tuple(call.source.shape[-kept:])
    if not same:
        raise call.refuse()
    return (*(None for _ in range(out.ndim - kept)), *call.axes[-kept:])


def _reduction(call: _Call, out: Tensor, _: int) -> Axes:
    """Reduce axes: a reduction over channels keeps each position; one over a spatial axis sees the whole axis."""
    axes = call.axes
    dims = call.get(1, "dim")
    if isinstance(dims, Tensor):  # max(a, b) of two tensors
        return _elementwise(call, out, _)
    chosen = range(len(axes)) if dims is None else [int(d) % len(axes) for d in _list(dims)]
    keep = bool(call.get(2, "keepdim", False))
    if call.name in ("softmax", "log_softmax", "softmin", "normalize", "cumsum", "sort"):
        keep = True
        if any(axes[d] is not None for d in chosen):
            raise call.refuse()
        return axes
    result: list[Span | None] = []
    for number, span in enumerate(axes):
        if number not in chosen:
            result.append(span)
        elif keep:
            result.append(None if span is None else whole(span, 1))
        elif span is not None:
            raise call.refuse()
    return tuple(result)


def _linear(call: _Call, out: Tensor, _: int) -> Axes:
    if call.axes[-1] is not None:
        raise call.refuse()
    return call.axes


_MIXING = {
    "roll", "flip", "flipud", "fliplr", "rot90", "gather", "scatter", "matmul", "rmatmul", "bmm", "mm", "einsum",
    "scaled_dot_product_attention", "multi_head_attention_forward", "unfold", "fold", "index_select", "take",
    "grid_sample", "tensordot", "cumprod", "setitem", "index_put", "max_unpool1d", "max_unpool2d", "max_unpool3d",
    "fft_fftn", "fft_fft2", "fft_rfft2", "fft_irfft2", "fft_rfftn", "fft_irfftn", "fft_fft", "conv_tbc", "median",
}  # fmt: skip

_RULES: dict[str, Callable[[_Call, Tensor, int], Axes]] = {
    **{f"conv{n}d": _convolution for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _up_convolution for n in (1, 2, 3)},
    **{f"{kind}_pool{n}d": _pooling for n in (1, 2, 3) for kind in ("max", "avg", "lp")},
    **{f"max_pool{n}d_with_indices": _pooling for n in (1, 2, 3)},
    **{f"adaptive_{kind}_pool{n}d": _adaptive_pooling for n in (1, 2, 3) for kind in ("avg", "max")},
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "softmax", "log_softmax", "softmin", "norm", "std",
                     "var", "normalize", "cumsum", "sort", "logsumexp", "prod"), _reduction),
    **dict.fromkeys(("cat", "concat", "concatenate"), _concatenation),
    **dict.fromkeys(("view", "reshape", "flatten", "expand", "unsqueeze", "squeeze", "unflatten", "expand_as"), _shape),
    **dict.fromkeys(("split", "chunk", "tensor_split", "split_with_sizes"), _pieces),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transposition),
    **dict.fromkeys(("movedim", "moveaxis"), _move),
    "interpolate": _interpolation, "upsample": _interpolation, "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle, "pad": _padding, "stack": _stack, "getitem": _item, "narrow": _narrow,
    "unbind": _unbind, "permute": _permutation, "linear": _linear,
}  # fmt: skip
