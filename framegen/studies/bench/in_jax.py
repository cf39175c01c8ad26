"""The same trainings and rollouts in JAX, with Optax's Adam: an epoch, and a rollout, is one compiled call.
Both are imported when they are needed."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from framegen.config.training import Training
from framegen.data.clips import Clips
from framegen.models.fused import cell_of
from framegen.models.recurrent import RecurrentNet
from framegen.studies.bench.contenders import flat, parameters
from framegen.studies.bench.measure import Call, Unavailable

Array = Any
"""jax.Array, where JAX is installed."""

Product = Callable[[Array, Array], Array]
"""A matrix product (M, N) x (N, B) -> (M, B)."""

PRODUCTS: dict[str, Product] = {
    "JAX, matrix products": lambda matrix, columns: matrix @ columns,
    "JAX, products as sums": lambda matrix, columns: (matrix[:, :, None] * columns).sum(1),
}
"""Two ways to write one. For a matrix product XLA calls a routine, once a frame; a sum it fuses with what
stands around it."""


def training(
    nets: Sequence[RecurrentNet], clips: Clips, config: Training, order: Tensor, product: Product
) -> Call:
    """K nets, plain or GRU, under vmap, through a scan over the steps of an epoch, in it a scan over time.

    See `contenders.fused_training`. The batch is the last axis everywhere, so that the small matrices stand
    to the left of long rows.
    """
    jax, adam = _jax(), _optax().adam(config.learning_rate)
    jnp = jax.numpy
    epoch = _epoch(jax, _loss(jax, product, cell_of(nets[0].rnn) == "gru"), adam)
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


def _loss(jax: Any, product: Product, gru: bool) -> Callable[[list[Array], Array, Array], Array]:
    """The mean squared error of a net on inputs and targets (T, P, B)."""
    jnp = jax.numpy
    sigmoid = jax.nn.sigmoid

    def loss_of(weights: list[Array], inputs: Array, targets: Array) -> Array:
        weight_ih, weight_hh, bias_ih, bias_hh, weight_o, bias_o = weights
        bias = bias_ih if gru else bias_ih + bias_hh
        driven = jax.vmap(lambda frame: weight_ih @ frame)(inputs) + bias[:, None]  # (T, H or 3 * H, B)

        def plain_cell(hidden: Array, now: Array) -> tuple[Array, Array]:
            hidden = jnp.tanh(now + product(weight_hh, hidden))
            return hidden, hidden

        def gru_cell(hidden: Array, now: Array) -> tuple[Array, Array]:
            reset, update, new = jnp.split(now, 3)
            of_last = jnp.split(product(weight_hh, hidden) + bias_hh[:, None], 3)
            new = jnp.tanh(new + sigmoid(reset + of_last[0]) * of_last[2])
            hidden = new + sigmoid(update + of_last[1]) * (hidden - new)
            return hidden, hidden

        none = jnp.zeros((weight_hh.shape[1], driven.shape[2]))
        _, states = jax.lax.scan(gru_cell if gru else plain_cell, none, driven)
        predictions = jax.vmap(lambda hidden: weight_o @ hidden)(states) + bias_o[:, None]
        return ((predictions - targets) ** 2).mean()

    return loss_of


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
        raise Unavailable("no JAX and Optax are here: `uv sync --group bench` brings them") from error
