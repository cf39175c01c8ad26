"""How optimizer steps are taken; the loop in `loop.py` says when.

An engine trains K models side by side, each on its own order of the same clips: K seeds of one experiment, or
one.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from framegen.config.training import Training
from framegen.data.clips import Clips
from framegen.models.parameters import flatten, split
from framegen.models.predictor import Predictor, State, detach, map_state
from framegen.training.state import engine_state, load_engine_state


class Engine(Protocol):
    """What the loop asks of an engine; see `TorchEngine`, which defines what each of it means."""

    @property
    def states(self) -> list[State]: ...
    @states.setter
    def states(self, states: list[State], /) -> None: ...
    @property
    def models(self) -> Sequence[Predictor]: ...
    @property
    def predictors(self) -> Sequence[Predictor]: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def chunk(self) -> int: ...
    def run(self, order: Tensor, learning_rates: Sequence[float]) -> tuple[Tensor, Tensor]: ...
    def keep(self, members: Sequence[int]) -> None: ...
    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


class TorchEngine:
    """One step after another: forward, backward, clipping and Adam, through PyTorch.

    Args:
        models: trained in place, on their own device.
        clips: the training clips.
        carry_state: the clips are one stream: what a model carries goes on, detached, from batch to batch.
        device: where the models are.
    """

    chunk = 1
    """How many batches `run` should be handed at once."""

    def __init__(
        self,
        models: Sequence[Predictor],
        clips: Clips,
        training: Training,
        carry_state: bool,
        device: torch.device = torch.device("cpu"),  # noqa: B008 (it cannot be changed)
    ) -> None:
        self.models, self.clips, self.training, self.carry_state = list(models), clips, training, carry_state
        self.states: list[State] = [None] * len(models)
        """What each model carries into the next step."""
        self.device, self.steps = device, 0
        self.optimizers = [torch.optim.Adam(model.parameters(), fused=True) for model in models]

    @property
    def predictors(self) -> Sequence[Predictor]:
        """The models as they are now, for measuring them while they are trained."""
        return self.models

    def run(self, order: Tensor, learning_rates: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Train on some batches, one after another.

        Args:
            order: (K, N) indices of clips, a row a model, to be taken `training.batch_size` at a time.
            learning_rates: one a batch.

        Returns:
            The losses and the norms of the gradients before clipping, (batches, K) each. Where one of the two
            is not finite, that model's weights stay as they were before that batch.
        """
        batches = zip(order.split(self.training.batch_size, 1), learning_rates, strict=True)
        results = [[self._step(k, index, rate) for k, index in enumerate(batch)] for batch, rate in batches]
        self.steps += len(results)
        losses, norms = torch.tensor(results).unbind(2)
        return losses, norms

    def _step(self, k: int, index: Tensor, learning_rate: float) -> tuple[float, float]:
        model, optimizer = self.models[k], self.optimizers[k]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        inputs, targets = (each.to(self.device) for each in self.clips.batch(index))  # (B, T, C, H, W)
        predictions, state = model(inputs, self.states[k])
        self.states[k] = detach(state) if self.carry_state else None
        loss = nn.functional.mse_loss(predictions, targets)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), self.training.max_grad_norm)
        if loss.isfinite() and norm.isfinite():
            optimizer.step()
        return loss.item(), norm.item()

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these of the models alone, by their places."""
        self.models = [self.models[k] for k in members]
        self.states = [self.states[k] for k in members]
        self.optimizers = [self.optimizers[k] for k in members]

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a training needs to go on, by name; each tensor's first axis numbers the models.

        "model.…": weights. "adam.mean", "adam.variance": Adam's running means of the gradient and of its
        square, (K, P) each, in the order of the parameters. "adam.step": steps taken, (K,). "state.…": what
        is carried. Both engines write and read the same.
        """
        moments = {"mean": "exp_avg", "variance": "exp_avg_sq"}
        return engine_state(
            self.models, {name: self._moment(key) for name, key in moments.items()}, self.steps, self.states
        )

    def _moment(self, name: str) -> Tensor:
        zero = {name: torch.zeros(())}  # before the first step there is none
        optimizers = zip(self.models, self.optimizers, strict=True)
        return torch.stack(
            [
                flatten(adam.state.get(p, zero)[name].expand_as(p) for p in model.parameters())
                for model, adam in optimizers
            ]
        )

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` of either engine gave. Raises ValueError where it does not fit the
        models."""
        example = self.clips.batch(torch.arange(min(self.training.batch_size, len(self.clips))))[0][:, :1]
        with torch.no_grad():
            carried = self.models[0](example.to(self.device))[1] if self.carry_state else None
        mean, variance, self.steps, states = load_engine_state(state, self.models, carried)
        self.states = [map_state(lambda part: part.to(self.device), each) for each in states]
        for model, adam, *moments in zip(self.models, self.optimizers, mean, variance, strict=True):
            parts = zip(*(split(moment, model) for moment in moments), strict=True)
            values = {
                k: {"step": torch.tensor(float(self.steps)), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
                for k, (m, v) in enumerate(parts)
            }
            adam.load_state_dict({"state": values, "param_groups": adam.state_dict()["param_groups"]})
