"""The ways to train and to roll out that are measured: framegen's engines and PyTorch.

Each function sets up nets that are its own to train, and returns a call that trains on from where the last
one stopped and returns the losses, or one that generates. Given the same nets and batches all of them compute
the same (see `in_jax.py` too).
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.measure import Call, Unavailable
from framegen.config.training import Training
from framegen.data.clips import Clips
from framegen.models.kernels.fused import cell_of
from framegen.models.nets.recurrent import RecurrentNet
from framegen.models.predictor import Predictor
from framegen.training.engine import Engine, TorchEngine
from framegen.training.fused_engine import FusedEngine

LossOf = Callable[[Tensor, Tensor], Tensor]
"""The loss of one batch of inputs and targets, (B, T, P) each, P = C * H * W."""

Loss = Callable[[RecurrentNet], LossOf]
"""A way to compute it for a net."""


def flat(clips: Clips) -> tuple[Tensor, Tensor]:
    """Inputs and targets, (N, T, P) each."""
    inputs, targets = clips.batch(slice(None))
    return inputs.flatten(2), targets.flatten(2)


def fused_training(nets: Sequence[RecurrentNet], clips: Clips, training: Training, order: Tensor) -> Call:
    """K nets through the fused engine, each on its own order (K, N); a call goes through it and returns
    losses (steps, K)."""
    return _through(FusedEngine(nets, clips, training, False), training, order)


def torch_training(model: Predictor, clips: Clips, training: Training, order: Tensor, device: str) -> Call:
    """A model of any kind through framegen's own engine in PyTorch; otherwise as `fused_training`."""
    return _through(TorchEngine([model.to(device)], clips, training, False), training, order)


def _through(engine: Engine, training: Training, order: Tensor) -> Call:
    chunks = order.split(engine.chunk * training.batch_size, 1)

    def call() -> Tensor:
        return torch.cat(
            [
                engine.run(part, [training.learning_rate] * -(-part.shape[1] // training.batch_size))[0]
                for part in chunks
            ]
        )

    return call


def eager_training(
    net: RecurrentNet, clips: Clips, training: Training, loss: Loss, shuffle: bool = True
) -> Call:
    """The loop of every PyTorch tutorial; a call is an epoch and returns losses (steps,)."""
    return _epochs(net, clips, training, loss(net), shuffle)


def compiled_training(net: RecurrentNet, clips: Clips, training: Training, loss: Loss) -> Call:
    """The same with the net and the loss through torch.compile. Raises Unavailable where that fails."""
    return _compiled(lambda: _epochs(net, clips, training, torch.compile(loss(net)), True))


def compiled_steps(net: RecurrentNet, clips: Clips, training: Training) -> Call:
    """The same, where torch.compile makes one graph of all of a step. Raises Unavailable where that fails."""
    return _compiled(lambda: whole_steps(net, clips, training, torch.compile))


def whole_steps(
    net: RecurrentNet,
    clips: Clips,
    training: Training,
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
    shuffle: bool = True,
) -> Call:
    """The same, a step in one function, which `make` may compile: the loss, its gradient by torch.func, and
    Adam."""
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8  # torch.optim.Adam's own

    def step(carried: tuple[list[Tensor], ...], count: Tensor, batch: list[Tensor]) -> tuple[Any, Tensor]:
        weights, means, variances = carried
        gradient, loss = torch.func.grad_and_value(_written_out)(weights, *batch)
        means = [beta1 * m + (1 - beta1) * g for m, g in zip(means, gradient, strict=True)]
        variances = [beta2 * v + (1 - beta2) * g**2 for v, g in zip(variances, gradient, strict=True)]
        rate, root = training.learning_rate / (1 - beta1**count), (1 - beta2**count) ** -0.5
        moments = zip(weights, means, variances, strict=True)
        weights = [w - rate * m / (v.sqrt() * root + epsilon) for w, m, v in moments]
        return (weights, means, variances), loss

    made, weights = make(step), [each.detach().clone() for each in net.parameters()]
    carried = weights, list(map(torch.zeros_like, weights)), list(map(torch.zeros_like, weights))
    count = torch.zeros(())
    loader = DataLoader(TensorDataset(*flat(clips)), batch_size=training.batch_size, shuffle=shuffle)

    @torch.no_grad()
    def call() -> Tensor:
        nonlocal carried, count
        losses = []
        for batch in loader:
            count = count + 1
            carried, loss = made(carried, count, batch)
            losses.append(loss.item())
        return torch.tensor(losses)

    return call


def _compiled(prepare: Callable[[], Call]) -> Call:
    """A call that torch.compile has compiled already. Raises Unavailable where that fails."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns where there is no GPU
    try:
        call = prepare()
        call()
    except RuntimeError as error:  # what torch's compilers raise comes from it
        raise Unavailable(
            f"torch.compile fails here ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        ) from error
    return call


def _epochs(net: RecurrentNet, clips: Clips, training: Training, loss_of: LossOf, shuffle: bool) -> Call:
    loader = DataLoader(TensorDataset(*flat(clips)), batch_size=training.batch_size, shuffle=shuffle)
    optimizer = torch.optim.Adam(net.parameters(), lr=training.learning_rate)

    def call() -> Tensor:
        losses = []
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = loss_of(inputs, targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return torch.tensor(losses)

    return call


def layers_loss(net: RecurrentNet) -> LossOf:
    """The net's own recurrent module, such as nn.RNN, nn.Linear and nn.functional.mse_loss."""
    return lambda inputs, targets: nn.functional.mse_loss(net.head(net.rnn(inputs)[0]), targets)


def written_out_loss(net: RecurrentNet) -> LossOf:
    """The same, its loop over time written out for torch.compile, which leaves nn.RNN as it is.

    The product within the loop is written as a sum: of that its compiler makes one kernel with the tanh; a
    matrix product of such a size it hands to a library, one call for each frame.
    """
    weights = parameters(net)
    return lambda inputs, targets: _written_out(weights, inputs, targets)


def _written_out(weights: Sequence[Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
    weight_ih, weight_hh, bias_ih, bias_hh, weight_o, bias_o = weights
    driven = nn.functional.linear(inputs, weight_ih, bias_ih + bias_hh)  # (B, T, H)
    hidden = driven.new_zeros(len(inputs), len(weight_hh))
    states = []
    for t in range(inputs.shape[1]):
        hidden = (driven[:, t] + (hidden[:, None] * weight_hh).sum(-1)).tanh()
        states.append(hidden)
    return nn.functional.mse_loss(nn.functional.linear(torch.stack(states, 1), weight_o, bias_o), targets)


def stacked_training(nets: Sequence[RecurrentNet], clips: Clips, training: Training, order: Tensor) -> Call:
    """K nets side by side in PyTorch, plain or GRU, their weights stacked to (K, ...); otherwise as
    `fused_training`."""
    weights = [
        torch.stack([each.detach() for each in same]).requires_grad_()
        for same in zip(*map(parameters, nets), strict=True)
    ]
    weight_ih, weight_hh, bias_ih, bias_hh, weight_o, bias_o = weights
    gru = cell_of(nets[0].rnn) == "gru"
    optimizer = torch.optim.Adam(weights, lr=training.learning_rate, fused=True)
    all_inputs, all_targets = flat(clips)
    no_state = torch.zeros(len(nets), training.batch_size, weight_hh.shape[-1])
    steps = all_inputs.shape[1]

    def cell(now: Tensor, hidden: Tensor) -> Tensor:  # (K, B, 3 * H) or (K, B, H), (K, B, H)
        if not gru:
            return torch.baddbmm(now, hidden, weight_hh.mT).tanh()
        of_last = torch.baddbmm(bias_hh[:, None], hidden, weight_hh.mT)
        reset, update, new = now.chunk(3, -1)
        reset_last, update_last, new_last = of_last.chunk(3, -1)
        new = (new + (reset + reset_last).sigmoid() * new_last).tanh()
        return torch.lerp(new, hidden, (update + update_last).sigmoid())

    def call() -> Tensor:
        losses = []
        for batch in order.split(training.batch_size, 1):  # (K, B)
            inputs, targets = all_inputs[batch], all_targets[batch]  # (K, B, T, P)
            bias = bias_ih if gru else bias_ih + bias_hh
            driven = torch.baddbmm(bias[:, None], inputs.flatten(1, 2), weight_ih.mT)  # (K, B * T, …)
            hidden, states = no_state[:, : batch.shape[1]], []
            for now in driven.unflatten(1, (-1, steps)).unbind(2):
                hidden = cell(now, hidden)
                states.append(hidden)
            predictions = torch.baddbmm(
                bias_o[:, None], torch.stack(states, 2).flatten(1, 2), weight_o.mT
            )  # (K, B * T, P)
            loss = (predictions - targets.flatten(1, 2)).square().mean((1, 2))  # (K,)
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses)

    return call


def parameters(net: RecurrentNet) -> list[nn.Parameter]:
    """In torch's order: weight_ih, weight_hh, bias_ih, bias_hh of each layer (of a minGRU's weight and bias),
    weight and bias of the head."""
    return list(net.parameters())


def rollout(model: Predictor, prompt: Tensor, num_frames: int) -> Call:
    """Closed loop after a prompt (B, T, C, H, W), through the model's own `run_on`; a call returns (B,
    num_frames, C, H, W)."""

    @torch.inference_mode()
    def call() -> Tensor:
        context = prompt.shape[1]
        return model.run_on(prompt, None, context - 1 + num_frames)[0][:, context - 1 :]

    return call
