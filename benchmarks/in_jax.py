"""The same trainings and rollouts in JAX, with Optax's Adam: an epoch, and a rollout, is one compiled call.
Both are imported when they are needed."""

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.contenders import flat, parameters
from benchmarks.measure import Call, Unavailable
from framegen.config.training import Training
from framegen.data.clips import Clips
from framegen.models.kernels.fused import cell_of
from framegen.models.nets.mingru import MinGRU
from framegen.models.nets.recurrent import RecurrentNet

Array = Any
"""jax.Array, where JAX is installed."""

Product = Callable[[Array, Array], Array]
"""A matrix product (M, N) x (N, B) -> (M, B)."""

Cell = Callable[[list[Array], Any, Array], tuple[Any, Array]]
"""A step of a layer: (weights, state, now) -> (state, hidden).

Its weights are torch's, in torch's order. The state is hidden, (H, B), for the LSTM a pair of it and the
memory. `now` is what the input contributes, (H, B) for tanh, 3, 4 and 2 times as many rows for GRU, LSTM and
minGRU: its product with weight_ih, and the biases that need not wait for the state."""

PRODUCTS: dict[str, Product] = {
    "JAX, matrix products": lambda matrix, columns: matrix @ columns,
    "JAX, products as sums": lambda matrix, columns: (matrix[:, :, None] * columns).sum(1),
}
"""Two ways to write the product with the last state. For a matrix product XLA calls a routine, once a frame;
a sum it fuses with what stands around it."""


def ways(cell: str) -> dict[str, Product]:
    """Those of PRODUCTS that differ for a cell: the minGRU has no product with the last state."""
    return {"JAX": PRODUCTS["JAX, matrix products"]} if cell == "mingru" else PRODUCTS


def training(
    nets: Sequence[RecurrentNet], clips: Clips, config: Training, order: Tensor, product: Product
) -> Call:
    """K nets under vmap, through a scan over the steps of an epoch, in it a scan over time for each layer.

    See `contenders.fused_training`. The batch is the last axis everywhere, so that the small matrices stand
    to the left of long rows.
    """
    jax, adam = _jax(), _optax().adam(config.learning_rate)
    jnp = jax.numpy
    epoch = _epoch(jax, _loss(jax, nets[0].rnn, product), adam)
    alone = len(nets) == 1  # a single net is faster without vmap
    all_nets = jax.jit(epoch if alone else jax.vmap(epoch, in_axes=(0, None, None, 0)))
    weights = [
        jnp.stack([jnp.array(each.detach().numpy()) for each in same])
        for same in zip(*map(parameters, nets), strict=True)
    ]
    carried = (weights, jax.vmap(adam.init)(weights))
    inputs, targets = (jnp.array(each.numpy()) for each in flat(clips))
    batches = jnp.array(order.unflatten(1, (-1, config.batch_size)).numpy())
    if alone:
        carried, batches = jax.tree.map(lambda array: array[0], (carried, batches))

    def call() -> Tensor:
        nonlocal carried
        carried, losses = all_nets(carried, inputs, targets, batches)
        return torch.from_dlpack(losses.block_until_ready()).view(len(nets), -1).T

    return call


def _loss(
    jax: Any, rnn: nn.RNNBase | MinGRU, product: Product
) -> Callable[[list[Array], Array, Array], Array]:
    """The mean squared error of a net with such layers on inputs and targets (T, P, B).

    As in torch, a layer's product with its inputs is one for all times, ahead of the loop.
    """
    jnp, name = jax.numpy, cell_of(rnn)
    cell = _cells(jax, product)[name]

    def linear(weight: Array, bias: Array, inputs: Array) -> Array:
        return jax.vmap(lambda now: weight @ now)(inputs) + bias[:, None]  # at all times

    def loss_of(weights: list[Array], inputs: Array, targets: Array) -> Array:
        *recurrent, weight_o, bias_o = weights
        none = jnp.zeros((rnn.hidden_size, inputs.shape[2]))
        state = (none, none) if name == "lstm" else none
        size, hidden = len(recurrent) // rnn.num_layers, inputs
        for first in range(0, len(recurrent), size):
            layer = recurrent[first : first + size]
            biases = layer[size // 2 :]
            bias = biases[0] if name == "gru" else sum(biases)  # a GRU's reset gate scales part of bias_hh
            _, hidden = jax.lax.scan(partial(cell, layer), state, linear(layer[0], bias, hidden))
        return ((linear(weight_o, bias_o, hidden) - targets) ** 2).mean()

    return loss_of


def _cells(jax: Any, product: Product) -> dict[str, Cell]:
    """A step of each cell, by the name that `cell_of` gives it."""
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid

    def tanh(weights: list[Array], hidden: Array, now: Array) -> tuple[Array, Array]:
        _, weight_hh, *_ = weights
        hidden = jnp.tanh(now + product(weight_hh, hidden))
        return hidden, hidden

    def gru(weights: list[Array], hidden: Array, now: Array) -> tuple[Array, Array]:
        _, weight_hh, _, bias_hh = weights
        reset, update, new = jnp.split(now, 3)
        of_last = jnp.split(product(weight_hh, hidden) + bias_hh[:, None], 3)
        new = jnp.tanh(new + sigmoid(reset + of_last[0]) * of_last[2])
        hidden = new + sigmoid(update + of_last[1]) * (hidden - new)
        return hidden, hidden

    def lstm(
        weights: list[Array], state: tuple[Array, Array], now: Array
    ) -> tuple[tuple[Array, Array], Array]:
        _, weight_hh, *_ = weights
        hidden, memory = state
        enter, keep, new, leave = jnp.split(now + product(weight_hh, hidden), 4)
        memory = sigmoid(keep) * memory + sigmoid(enter) * jnp.tanh(new)
        hidden = sigmoid(leave) * jnp.tanh(memory)
        return (hidden, memory), hidden

    def mingru(weights: list[Array], hidden: Array, now: Array) -> tuple[Array, Array]:
        gate, candidate = jnp.split(now, 2)
        hidden = hidden + sigmoid(gate) * (candidate - hidden)
        return hidden, hidden

    return {"tanh": tanh, "gru": gru, "lstm": lstm, "mingru": mingru}


def _epoch(jax: Any, loss_of: Callable[[list[Array], Array, Array], Array], adam: Any) -> Callable[..., Any]:
    """All steps of an epoch, from (weights, Adam's state)."""

    def epoch(carried: Any, inputs: Array, targets: Array, batches: Array) -> tuple[Any, Array]:
        def step(carried: Any, batch: Array) -> tuple[Any, Array]:
            weights, state = carried
            chosen = (clips[batch].transpose(1, 2, 0) for clips in (inputs, targets))  # (T, P, B) each
            loss, gradient = jax.value_and_grad(loss_of)(weights, *chosen)
            updates, state = adam.update(gradient, state)
            return (_optax().apply_updates(weights, updates), state), loss

        return jax.lax.scan(step, carried, batches)

    return epoch


def rollout(net: RecurrentNet, prompt: Tensor, num_frames: int, product: Product) -> Call:
    """A scan over the prompt's frames and one over those that are generated; see `contenders.rollout`."""
    jax = _jax()
    jnp = jax.numpy

    @jax.jit
    def generate(weights: list[Array], frames: Array) -> Array:
        weight_ih, weight_hh, bias_ih, bias_hh, weight_o, bias_o = weights

        def cell(hidden: Array, frame: Array) -> tuple[Array, Array]:
            hidden = jnp.tanh(
                product(weight_ih, frame) + product(weight_hh, hidden) + (bias_ih + bias_hh)[:, None]
            )
            return hidden, product(weight_o, hidden) + bias_o[:, None]

        def go_on(carried: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
            hidden, frame = cell(*carried)
            return (hidden, frame), frame

        hidden, predictions = jax.lax.scan(cell, jnp.zeros((len(weight_hh), frames.shape[-1])), frames)
        _, made = jax.lax.scan(go_on, (hidden, predictions[-1]), None, num_frames - 1)
        return jnp.concatenate([predictions[-1:], made])  # (num_frames, P, B)

    weights = [jnp.array(parameter.detach().numpy()) for parameter in net.parameters()]
    frames = jnp.array(prompt.flatten(2).permute(1, 2, 0).numpy())  # (T, P, B)

    def call() -> Tensor:
        made = torch.from_dlpack(generate(weights, frames).block_until_ready())
        return made.permute(2, 0, 1).unflatten(2, prompt.shape[2:])

    return call


def _jax() -> Any:
    return _installed("jax")


def _optax() -> Any:
    return _installed("optax")


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unavailable("no JAX and Optax are here: `uv run --group bench` brings them") from error
