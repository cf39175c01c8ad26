"""How optimizer steps are taken; the loop in `loop.py` says when.

An engine trains K models side by side, each on its own order of the same clips: K seeds of one experiment, or one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from framegen.config.training import Training
from framegen.data.clips import Clips
from framegen.models.predictor import Predictor, State, detach, flatten, split

Moments = tuple[Tensor, Tensor]
"""Adam's running means of the gradient and of its square, (K, P) each, in the order of the parameters."""


class TorchEngine:
    """One step after another: forward, backward, clipping and Adam, through PyTorch.

    Args:
        models: trained in place, on their own device.
        clips: the training clips, on the same device.
        carry_state: the clips are one stream: what a model carries goes on, detached, from batch to batch.
    """

    chunk = 1
    """How many batches `run` should be handed at once."""

    def __init__(
        self, models: Sequence[Predictor], clips: Clips, training: Training, carry_state: bool
    ) -> None:
        self.models, self.clips, self.training, self.carry_state = models, clips, training, carry_state
        self.states: list[State] = [None] * len(models)
        """What each model carries into the next step."""
        self.device = clips.inputs.device
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
            The losses and the norms of the gradients before clipping, (batches, K) each. Where one of the two is not
            finite, that model's weights stay as they were before that batch.
        """
        batches = zip(order.split(self.training.batch_size, 1), learning_rates, strict=True)
        results = [[self._step(k, index, rate) for k, index in enumerate(batch)] for batch, rate in batches]
        losses, norms = torch.tensor(results).unbind(2)
        return losses, norms

    def _step(self, k: int, index: Tensor, learning_rate: float) -> tuple[float, float]:
        model, optimizer = self.models[k], self.optimizers[k]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        inputs, targets = self.clips.batch(index.to(self.device))  # (B, T, C, H, W)
        predictions, state = model(inputs, self.states[k])
        self.states[k] = detach(state) if self.carry_state else None
        loss = nn.functional.mse_loss(predictions, targets)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), self.training.max_grad_norm)
        if loss.isfinite() and norm.isfinite():
            optimizer.step()
        return loss.item(), norm.item()

    def moments(self) -> Moments:
        """What Adam remembers, to be saved."""

        def rows(name: str) -> Tensor:
            zero = {name: torch.zeros(())}  # before the first step there is none
            optimizers = zip(self.models, self.optimizers, strict=True)
            return torch.stack(
                [
                    flatten(adam.state.get(p, zero)[name].expand_as(p) for p in model.parameters())
                    for model, adam in optimizers
                ]
            )

        return rows("exp_avg"), rows("exp_avg_sq")

    def restore(self, step: int, moments: Moments) -> None:
        """Go on from what `moments` of either engine gave after so many steps."""
        for model, adam, mean, variance in zip(self.models, self.optimizers, *moments, strict=True):
            parts = zip(split(mean, model), split(variance, model), strict=True)
            state = {
                k: {"step": torch.tensor(float(step)), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
                for k, (m, v) in enumerate(parts)
            }
            adam.load_state_dict({"state": state, "param_groups": adam.state_dict()["param_groups"]})
