"""Which term a call of torch's functions is, for the ghost engine."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mwnet.bilevel.ghost_terms import Batched, Bilinear, Factors, Key, Local, Lookup, Term


def term_of(func: Any, args: tuple, kwargs: dict[str, Any], key: Key, out: Tensor) -> Term:
    """Find out how the output of a call depends on learnt tensors.

    Args:
        func: torch's function.
        args: of the call.
        kwargs: of the call.
        key: tells learnt tensors from others.
        out: what the call returned.

    Raises:
        NotImplementedError: samples meet in it, or its draws cannot be repeated.
    """
    name = getattr(func, "__name__", "")
    rule = _RULES.get(func) or _DRAWS.get(name) or (None if kwargs else _BY_PLACE.get(name))
    found = None if rule is None else rule(func, key, out, *args, **kwargs)
    return Local(func, args, kwargs, key) if found is None else found


def _linear(
    func: Any, key: Key, out: Tensor, input: Tensor, weight: Any, bias: Any = None
) -> Term | None:
    return _bilinear(func, key, out, input, weight, bias, (), ())


def _conv(
    func: Any,
    key: Key,
    out: Tensor,
    input: Tensor,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Term | None:
    dims = weight.dim() - 2
    stride, dilation = _tuple(stride, dims), _tuple(dilation, dims)
    if padding == "same":
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        if any(each % 2 for each in reach):
            return None
        padding = [each // 2 for each in reach]
    padding = _tuple(0 if padding == "valid" else padding, dims)
    if input.dim() != weight.dim():
        return None
    sizes = (stride, padding, dilation, False, (0,) * dims, groups)
    return _bilinear(
        func, key, out, input, weight, bias, (stride, padding, dilation, groups), sizes
    )


def _bilinear(
    func: Any, key: Key, out: Tensor, x: Tensor, weight: Any, bias: Any, rest: tuple, sizes: Any
) -> Term | None:
    if key(x) is not None:
        return None
    by_weight, by_bias = key(weight), key(bias)
    if by_weight is None:
        assert by_bias is not None
        tail = () if func is F.linear else (1,) * (weight.dim() - 2)
        return Factors((by_bias, (len(bias), *tail), None))
    keys = (by_weight,) if by_bias is None else (by_weight, by_bias)
    # Under autocast the layer computed in another type.
    return Bilinear(func, x.to(out.dtype), weight, keys, rest, sizes)


def _layer_norm(
    func: Any,
    key: Key,
    out: Tensor,
    input: Tensor,
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Term | None:
    shape = tuple(normalized_shape)
    return _affine(key, weight, bias, shape, input, lambda x: F.layer_norm(x, shape, eps=eps))


def _rms_norm(
    func: Any,
    key: Key,
    out: Tensor,
    input: Tensor,
    normalized_shape: Any,
    weight: Any = None,
    eps: float | None = None,
) -> Term | None:
    shape = tuple(normalized_shape)
    return _affine(key, weight, None, shape, input, lambda x: F.rms_norm(x, shape, eps=eps))


def _group_norm(
    func: Any,
    key: Key,
    out: Tensor,
    input: Tensor,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Term | None:
    shape = (input.shape[1], *(1,) * (input.dim() - 2))
    return _affine(key, weight, bias, shape, input, lambda x: F.group_norm(x, num_groups, eps=eps))


def _batch_norm(
    func: Any,
    key: Key,
    out: Tensor,
    input: Tensor,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Term | None:
    if training:
        raise NotImplementedError("samples meet in batch norm in training mode")
    shape = (input.shape[1], *(1,) * (input.dim() - 2))
    return _affine(
        key,
        weight,
        bias,
        shape,
        input,
        lambda x: F.batch_norm(x, running_mean, running_var, eps=eps),
    )


def _affine(
    key: Key, weight: Any, bias: Any, shape: tuple[int, ...], x: Tensor, norm: Any
) -> Term | None:
    """The scale and the shift of a norm, whose own work is done again only where it is needed."""
    if key(x) is not None:
        return None
    parts: list[Any] = []
    if (number := key(weight)) is not None:
        x = x.detach()
        parts.append((number, shape, lambda: norm(x)))
    if (number := key(bias)) is not None:
        parts.append((number, shape, None))
    return Factors(*parts)


def _embedding(
    func: Any,
    key: Key,
    out: Tensor,
    input: Tensor,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Term | None:
    number = key(weight)
    if number is None or max_norm is not None or scale_grad_by_freq or sparse:
        raise NotImplementedError("no rule for an embedding with more than a padding index")
    return Lookup(number, input, len(weight), padding_idx)


def _product(func: Any, key: Key, out: Tensor, a: Any, b: Any) -> Term | None:
    numbers = key(a), key(b)
    if None not in numbers:
        return None
    (number, learnt, other) = (numbers[0], a, b) if numbers[1] is None else (numbers[1], b, a)
    if number is None or not isinstance(other, Tensor):
        return None
    return Factors((number, tuple(learnt.shape), other.detach()))


def _sum(func: Any, key: Key, out: Tensor, a: Any, b: Any) -> Term | None:
    return Factors(*((n, tuple(t.shape), None) for t in (a, b) if (n := key(t)) is not None))


def _addcmul(func: Any, key: Key, out: Tensor, a: Any, b: Any, c: Any) -> Term | None:
    product = _product(func, key, out, b, c) if key(b) is not None or key(c) is not None else None
    if product is None and (key(b) is not None or key(c) is not None):
        return None
    parts: list[Any] = [(n, tuple(a.shape), None)] if (n := key(a)) is not None else []
    if isinstance(product, Factors):
        parts += zip(product.keys, product.shapes, product.factors, strict=True)
    return Factors(*parts)


def _baddbmm(func: Any, key: Key, out: Tensor, bias: Any, weight: Any, x: Tensor) -> Term | None:
    by_bias, by_weight = key(bias), key(weight)
    if by_bias is None or by_weight is None or key(x) is not None:
        return None
    fits = bias.shape == (len(weight), weight.shape[1], 1)
    return Batched(x.to(out.dtype), (by_bias, by_weight)) if fits else None


def _matmul(func: Any, key: Key, out: Tensor, x: Tensor, weight: Any) -> Term | None:
    number = key(weight)
    if number is None or key(x) is not None or not x.dim() == weight.dim() == 3:
        return None
    return Batched(x.to(out.dtype), (number,)) if len(x) == len(weight) else None


def _draws(func: Any, key: Key, out: Tensor, *args: Any, **named: Any) -> Term | None:
    raise NotImplementedError("no rule for dropout of parameters")


_RULES: dict[Any, Any] = {
    F.linear: _linear,
    torch.conv1d: _conv,
    torch.conv2d: _conv,
    torch.conv3d: _conv,
    F.layer_norm: _layer_norm,
    F.rms_norm: _rms_norm,
    F.group_norm: _group_norm,
    F.batch_norm: _batch_norm,
    F.embedding: _embedding,
}
_BY_PLACE: dict[str, Any] = {
    "mul": _product,
    "add": _sum,
    "add_": _sum,
    "addcmul": _addcmul,
    "baddbmm": _baddbmm,
    "matmul": _matmul,
}
"""Rules of calls whose arguments are all given by place."""
_DRAWS: dict[str, Any] = dict.fromkeys(
    ("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout"), _draws
)


def _tuple(value: Any, dims: int) -> tuple[int, ...]:
    value = (value,) if isinstance(value, int) else tuple(value)
    return value * dims if len(value) == 1 else value
