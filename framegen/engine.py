"""How optimizer steps are taken; the loop in `train.py` says when."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from framegen.config import Training
from framegen.models.predictor import Predictor, State, detach
from framegen.tasks.clips import Clips

AdamState = dict[int, dict[str, Tensor]]
"""Adam's moments and step count, by the number of the parameter: torch.optim.Adam's own "state"."""


class TorchEngine:
    """One step after another: forward, backward, clipping and Adam, through PyTorch.

    Args:
        model: trained in place, on its own device.
        clips: the training clips, on the same device.
        carry_state: the clips are one stream: what the model carries goes on, detached, from batch to batch.
    """

    chunk = 1
    """How many batches `run` should be handed at once."""

    def __init__(self, model: Predictor, clips: Clips, training: Training, carry_state: bool) -> None:
        self.model, self.clips, self.training, self.carry_state = model, clips, training, carry_state
        self.state: State = None
        self.device = clips.inputs.device
        self.optimizer = torch.optim.Adam(model.parameters(), fused=True)

    @property
    def predictor(self) -> Predictor:
        """The model as it is now, for measuring it while it is trained."""
        return self.model

    def run(self, batches: Sequence[Tensor], learning_rates: Sequence[float]) -> list[tuple[float, float]]:
        """Train on some batches, each (B,) indices of clips, one after another.

        Returns for each the loss and the norm of the gradient before clipping. Where one of the two is not finite, the
        weights stay as they were before that batch.
        """
        return [self._step(index, rate) for index, rate in zip(batches, learning_rates, strict=True)]

    def _step(self, index: Tensor, learning_rate: float) -> tuple[float, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        inputs, targets = self.clips.batch(index.to(self.device))  # (B, T, C, H, W)
        predictions, state = self.model(inputs, self.state)
        self.state = detach(state) if self.carry_state else None
        loss = nn.functional.mse_loss(predictions, targets)
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.training.max_grad_norm)
        if loss.isfinite() and norm.isfinite():
            self.optimizer.step()
        return loss.item(), norm.item()

    def adam(self) -> AdamState:
        """What Adam remembers, to be saved."""
        return self.optimizer.state_dict()["state"]

    def load_adam(self, state: AdamState) -> None:
        """Go on from what `adam` once gave."""
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
