"""What one hidden unit computes at a step, in numbers that can be computed along."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from framegen.report.figures.trace import Trace

DIGITS = 3
"""Decimals of all numbers: what is written follows from what is written."""

ALL, MOST = 5, 4
"""Inputs, or hidden units, up to which all are written out; of more, so many that weigh most, and the rest in
a line."""


@dataclass(frozen=True)
class Term:
    """A line of a sum: a value times a weight; or the rest, which has neither."""

    number: int | None
    """Of the unit that it comes from, or goes to, from 1; None for all others together."""
    value: float
    weight: float
    product: float


@dataclass(frozen=True)
class Neuron:
    """A hidden unit at a step, in numbers that are rounded as they are written."""

    unit: int
    """From 1, as the step."""
    step: int
    inputs: list[Term]
    memory: list[Term]
    """Empty where the net has none."""
    bias: float
    sum: float
    state: float
    """h_t = f(sum)."""
    outputs: list[Term]
    """To whom it goes: its value is h_t, and to the product ..."""
    others: list[float]
    """... comes what all others add, which makes ..."""
    totals: list[float]
    """... what the output says."""


def at(trace: Trace, unit: int, step: int) -> Neuron:
    """A unit of the first layer at a step, both from 1. Each product, sum and output follows from the rounded
    numbers beside it, so that it can be computed along; the net itself does not round."""
    layer = trace.layers[0]
    assert layer.bias is not None
    row, now = unit - 1, step - 1
    inputs = _terms(trace.inputs[now], layer.forward[row])
    memory = [] if layer.recurrent is None else _terms(trace.hidden[0][now], layer.recurrent[row])
    bias = _rounded(layer.bias[row].item())
    total = _rounded(sum(term.product for term in (*inputs, *memory)) + bias)
    state = _rounded(math.tanh(total) if trace.activation == "tanh" else max(0.0, total))
    outputs, others, totals = [], [], []
    if len(trace.layers) == 1:
        column = trace.head.forward[:, row]
        for place in _largest(column, MOST):
            weight = _rounded(column[place].item())
            outputs.append(Term(place + 1, state, weight, _rounded(state * weight)))
            totals.append(_rounded(trace.outputs[now, place].item()))
            others.append(_rounded(totals[-1] - outputs[-1].product))
    return Neuron(unit, step, inputs, memory, bias, total, state, outputs, others, totals)


def listening(trace: Trace) -> int:
    """The unit of the first layer, from 1, whose recurrent weights are the largest (sum of their sizes): it
    listens most to the memory. Without memory, the one of the largest weights."""
    layer = trace.layers[0]
    weights = layer.forward if layer.recurrent is None else layer.recurrent
    return int(weights.abs().sum(1).argmax()) + 1


def _rounded(value: float) -> float:
    return round(float(value), DIGITS) + 0.0  # not -0.0


def _largest(values: Tensor, count: int) -> list[int]:
    """The places of the largest values, in order."""
    return sorted(values.abs().topk(min(count, len(values))).indices.tolist())


def _terms(values: Tensor, weights: Tensor) -> list[Term]:
    """The products that weigh most, and in a last one all others together."""
    products = values * weights
    chosen = _largest(products, ALL if len(products) <= ALL else MOST)
    rounded = [(n, _rounded(values[n].item()), _rounded(weights[n].item())) for n in chosen]
    terms = [Term(n + 1, value, weight, _rounded(value * weight)) for n, value, weight in rounded]
    if len(chosen) < len(products):
        left = torch.ones(len(products), dtype=torch.bool)
        left[chosen] = False
        terms.append(Term(None, 0.0, 0.0, _rounded(products[left].sum().item())))
    return terms
