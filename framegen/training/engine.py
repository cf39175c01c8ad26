"""One optimizer step, through PyTorch; the loop in `loop.py` says when it is taken."""

import copy
import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from framegen.config.training import Training
from framegen.data.clips import Clips, fill
from framegen.machine.device import seeded
from framegen.models.mixture import Mixture
from framegen.models.parameters import flatten, load_weights, stack, trained
from framegen.models.predictor import Predictor, check_shape, map_state
from framegen.training.base import Engine, part_of
from framegen.training.feeding import bits_loss, cut, own_frames, relative_loss, unroll
from framegen.training.ranks import Ranks


class TorchEngine(Engine):
    """One step after another: forward, backward, clipping and Adam.

    Args:
        models, clips, training, carry_state: as of `Engine`.
        seeds: of the models, for random draws during training.
        ranks: the processes that train these models together.
    """

    name = "torch"

    def __init__(
        self,
        models: Sequence[Predictor],
        clips: Clips,
        training: Training,
        carry_state: bool,
        seeds: Sequence[int] = (),
        ranks: Ranks = Ranks(),  # noqa: B008 (it cannot be changed)
    ) -> None:
        super().__init__(models, clips, training, carry_state)
        self.ranks = ranks
        if training.channels_last:
            for model in models:
                model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.seeds, self.total_steps = list(seeds or range(len(models))), 1
        adam = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
        decay = training.weight_decay
        self.optimizers = [adam(trained(model), weight_decay=decay, fused=True) for model in models]
        self.means = [copy.deepcopy(model).requires_grad_(False) for model in models] if training.ema else []
        calls = [model.density if model.has_density else model for model in models]
        self.callables = [torch.compile(call) if training.compile else call for call in calls]

    @property
    def kept(self) -> Sequence[Predictor]:
        """The models with averaged weights, with --ema; else the trained ones."""
        return self.means or self.models

    def plan(self, total_steps: int) -> None:
        self.total_steps = total_steps  # by them `feeding` goes on

    def run(self, order: Tensor, learning_rates: Sequence[float]) -> tuple[Tensor, Tensor]:
        results = []
        for batch, rate in zip(order.split(self.training.batch_size, 1), learning_rates, strict=True):
            totals = [self._gradient(k, index) for k, index in enumerate(batch)]
            norms = [
                nn.utils.clip_grad_norm_(model.parameters(), self.training.max_grad_norm)
                for model in self.models
            ]
            # All that the CPU waits for in a step: one transfer.
            results.append(torch.stack([torch.stack(totals), torch.stack(norms)]).cpu())  # (2, K)
            for k, finite in enumerate(results[-1].isfinite().all(0).tolist()):
                if finite:
                    self._step(k, rate)
            self.steps += 1
        losses, norms = torch.stack(results, 1)
        return losses, norms

    def _gradient(self, k: int, index: Tensor) -> Tensor:
        """Compute a model's gradient on some clips; returns the loss, ()."""
        self.optimizers[k].zero_grad()
        random = np.random.default_rng([self.seeds[k], self.steps])
        total, unit = torch.zeros(2, device=self.device)
        # Of an epoch's last batch there may be fewer clips than parts.
        parts = [part for part in index.tensor_split(self.training.accumulate) if len(part)]
        for number, part in enumerate(parts):
            of_batch = len(part) / len(index)
            with seeded(self.seeds[k], self.steps, 1 + self.ranks.rank, number):
                loss, in_units_of = self._loss(k, part, random)
                loss = loss * of_batch
                loss.backward()
            total = total + loss.detach()
            unit = unit + in_units_of * of_batch
        for parameter in trained(self.models[k]):
            if parameter.grad is None:  # out of the loss's reach; all take each step, so that one count tells
                parameter.grad = torch.zeros_like(parameter)
        return self._add_up(self.models[k], total, unit)

    def _step(self, k: int, learning_rate: float) -> None:
        """One optimizer step of a model whose gradient is there."""
        for group in self.optimizers[k].param_groups:
            group["lr"] = learning_rate
        self.optimizers[k].step()
        if self.means:
            # The mean of few steps would be the beginning: it keeps less of itself at first.
            keep = min(self.training.ema, (1 + self.steps) / (10 + self.steps))
            for mean, weight in zip(self.means[k].parameters(), self.models[k].parameters(), strict=True):
                mean.lerp_(weight.detach(), 1 - keep)
            for mean, buffer in zip(self.means[k].buffers(), self.models[k].buffers(), strict=True):
                mean.copy_(buffer)  # such as what was seen and counted: no mean of it would be true

    def _add_up(self, model: Predictor, loss: Tensor, unit: Tensor) -> Tensor:
        """The loss of all processes, whose gradients the model takes, both in one unit for the whole batch.
        One vector goes round for all of it."""
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if self.ranks.count > 1:
            summed = self.ranks.sum(flatten([loss, unit, *gradients]))
            loss, unit, *sums = summed.split([1, 1, *(gradient.numel() for gradient in gradients)])
            for gradient, each in zip(gradients, sums, strict=True):
                gradient.copy_(each.view_as(gradient))
            loss, unit = loss[0], unit[0]
        if self.training.loss == "mse":
            return loss
        for gradient in gradients:
            gradient.mul_(unit)
        return loss * unit

    def _loss(self, k: int, index: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """This process's part of a model's loss on some clips, and of the unit that `relative_loss` is in.
        What is drawn by chance is drawn for all clips, so that each is fed alike whoever takes it."""
        training = self.training
        rows, share = self.ranks.share(len(index))
        started = time.perf_counter()
        clips = self.clips.batch(index[rows])  # (B, T, C, H, W)
        if training.square:
            clips = cut(*clips, training.square, random)
        inputs, targets = (each.to(self.device) for each in clips)
        self.waited += time.perf_counter() - started
        done, steps = self.steps / self.total_steps, inputs.shape[1]
        own = own_frames(training, done, (len(index), steps), random)[rows]
        shown = inputs
        if training.input_noise:
            drawn = random.standard_normal((len(index), *inputs.shape[1:]), dtype=np.float32)
            shown = inputs + (training.input_noise * torch.from_numpy(drawn))[rows].to(inputs)
        with torch.autocast(self.device.type, torch.bfloat16, training.precision == "bfloat16"):
            made, state = unroll(self.models[k], self.callables[k], shown, self.states[k], own)
        # Truncated back-propagation through time: the state is cut off from the graph that computed it.
        self.states[k] = map_state(Tensor.detach, state) if self.carry_state else None
        unit = torch.ones((), device=self.device)
        if isinstance(made, Mixture):
            return share * bits_loss(made, targets), share * unit
        check_shape(self.models[k], made, targets)
        if training.loss == "relative":
            loss, unit = relative_loss(made.float(), inputs, targets, own)
            return share * loss, share * unit
        made = made.float()
        return share * nn.functional.mse_loss(made, fill(targets, made)), share * unit

    def keep(self, members: Sequence[int]) -> None:
        super().keep(members)
        self.seeds = [self.seeds[k] for k in members]
        self.callables = [self.callables[k] for k in members]
        self.means = [self.means[k] for k in members] if self.means else []
        self.optimizers = [self.optimizers[k] for k in members]

    def state_dict(self) -> dict[str, Tensor]:
        """That of `Engine`, and "ema.…", the mean of the weights, where it is asked for."""
        means = stack(self.means) if self.means else {}
        return super().state_dict() | {f"ema.{name}": value for name, value in means.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(state)
        if self.means:
            load_weights(self.means, part_of(state, "ema."))

    def moments(self) -> tuple[Tensor, Tensor]:
        def of(model: Predictor, adam: torch.optim.Optimizer, name: str) -> Tensor:
            # Before the first step there is none.
            return flatten(adam.state.get(p, {}).get(name, torch.zeros_like(p)) for p in trained(model))

        pairs = list(zip(self.models, self.optimizers, strict=True))
        mean, variance = (
            torch.stack([of(*pair, name) for pair in pairs]) for name in ("exp_avg", "exp_avg_sq")
        )
        return mean, variance

    def load_moments(self, mean: Tensor, variance: Tensor) -> None:
        for model, adam, *moments in zip(self.models, self.optimizers, mean, variance, strict=True):
            parts = zip(*(_laid_out(moment, model) for moment in moments), strict=True)
            values = {
                k: {"step": torch.tensor(float(self.steps)), "exp_avg": m, "exp_avg_sq": v}
                for k, (m, v) in enumerate(parts)
            }
            adam.load_state_dict({"state": values, "param_groups": adam.state_dict()["param_groups"]})


def _laid_out(row: Tensor, model: Predictor) -> list[Tensor]:
    """Copies of values (P,), laid in memory like the model's trained parameters, as fused Adam needs them."""
    parts = row.split([parameter.numel() for parameter in trained(model)])
    pairs = zip(trained(model), parts, strict=True)
    return [torch.empty_like(parameter).copy_(part.view_as(parameter)) for parameter, part in pairs]
