"""The predictors, each behind the one contract of `predictor.py`."""

import math

import torch
from torch import nn

from framegen.config.models import MLP, Model, Recurrent
from framegen.models.mlp import MemorylessNet
from framegen.models.predictor import Predictor
from framegen.models.recurrent import RecurrentNet


def build(config: Model, frame_shape: tuple[int, int, int], seed: int) -> Predictor:
    """A new model for frames of (C, H, W), on the CPU; torch's own initial distribution, drawn from `seed`."""
    # torch's constructors draw from the global generator: give it back as it was, and draw anew from our own.
    with torch.random.fork_rng(devices=[]):
        model = _module(config, frame_shape)
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        match module:
            case nn.RNNBase():
                bound = 1 / math.sqrt(module.hidden_size)
            case nn.Linear():
                bound = 1 / math.sqrt(module.in_features)
            case _:
                continue
        for parameter in module.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return model


def _module(config: Model, frame_shape: tuple[int, int, int]) -> Predictor:
    match config:
        case Recurrent():
            return RecurrentNet(config, frame_shape)
        case MLP():
            return MemorylessNet(config, frame_shape)
