"""A memory that moves: one copy for each velocity, and a belief in which velocity is the true one."""

import itertools
import math

import torch
from torch import Tensor, nn

from framegen.config.checks import check
from framegen.config.models import MovingMemory
from framegen.models.kernels import moving
from framegen.models.mixture import Mixture
from framegen.models.nets.answers import begin_at_zero, to_range
from framegen.models.nets.density import ConvDensity, Net
from framegen.models.predictor import State
from framegen.models.window import laid, shown, told_motion

SCALE = 5
"""Numbers that the net learns as they are, without a layer, are stored as a part of this, so that a step of
Adam moves them as far as they need."""
UNKNOWN = 1e-3
"""Trust in a place of which nothing was seen yet; a place that is seen has 1 and more."""


Memory = tuple[Tensor, Tensor]
"""Contents and trust of each copy, and the log of the belief in it."""


class MovingMemoryNet(Net):
    """Frames (B, T, C, H, W) with values in [0, 1]; predictions as well.

    Each velocity v, in whole pixels per frame, has a copy of the memory: contents m_v, and how far they are
    to be trusted, k_v, at each place. A convolutional net reads features e_t of a frame, and how visible each
    place is, a_t in [0, 1]. Then, at every place, as a Kalman filter does it:

        k' = c k_v,   s = k' a_t / (k' + a_t)
        log b_v <- log b_v - 1/2 sum over the picture of s sum_i p_i (e_t,i - m_v,i)^2
        m_v <- m_v + a_t / (k' + a_t) (e_t - m_v),   k_v <- k' + a_t

    b_v is the belief in velocity v, a probability: a copy that foresaw the frame well gains. Before each
    frame a velocity may be drawn anew: b_v <- (1 - q) b_v + q / V. What all copies hold together, the sum of
    b_v m_v, goes back to each in part, so that things may turn. Then every copy moves by its velocity; their
    sum under b is what the memory expects to see, and a second convolutional net makes the next frame of it.

    What is hidden (a_t = 0) stays in memory, and goes on moving. c, q, p and that part are learned, all else
    is by the two nets. The exact filter of a texture that slides at an unknown velocity is such a net, with
    c = 1 and q = 0. A copy for each velocity, with weights shared by all: Keller, "Flow equivariant recurrent
    neural networks", 2025; there it is a plain RNN.

    Frames are split into groups of channels, all of them together or each for itself, and each group has a
    memory of its own. A memory that is larger than the frames is a torus over which they are a window: they
    are laid where it stands, all else is not visible, and what it will show is cut out again.

    The state is m and k, (B, groups, V, C + features + 1, H, W), with the channels C of a group; log b,
    (B, groups, V); and the row and the column where the next frame lies, (B, 2) int64.
    """

    def __init__(self, config: MovingMemory, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        told = 2 if config.canvas else 0
        sides = (config.canvas, config.canvas) if config.canvas else frame_shape[1:]
        check(
            config.max_speed < min(sides),
            f"--max-speed {config.max_speed}: must be less than {min(sides)} pixels",
        )
        self.groups = frame_shape[0] - told if config.apart else 1
        self.channels = channels = (frame_shape[0] - told) // self.groups
        self.told, self.sides = told, sides
        self.size, self.wraps = channels + config.features, config.border == "torus"
        self.ways = list(itertools.product(range(-config.max_speed, config.max_speed + 1), repeat=2))
        self.read = _Layers(config, channels)
        self.seen = nn.Conv2d(config.hidden_size, self.size + 2, 1)
        # What is black may be hidden. An untrained net that trusted it would never learn otherwise: what it
        # knows of hidden places pays later, when they are seen again, while what it forgets costs at once.
        self.light = nn.Conv2d(channels, 2, 1)
        self.write = _Layers(config, self.size + 1 + channels)
        self.frame = begin_at_zero(nn.Conv2d(config.hidden_size, channels, 1))
        self.precision = nn.Parameter(torch.tensor([0.6] * channels + [0.3] * config.features))
        self.empty = nn.Parameter(torch.zeros(self.size))
        self.keep, self.turn, self.share = (nn.Parameter(torch.tensor(each)) for each in (0.0, -0.6, -0.6))
        self.settle = nn.Parameter(torch.zeros(())) if told else None
        with torch.no_grad():
            self.light.weight.fill_(40 / channels)
            assert self.light.bias is not None
            self.light.bias.fill_(-4)
        size = config.hidden_size * self.groups
        self.spread = ConvDensity(config.density, size, frame_shape[0], 1) if config.density else None

    def predict(self, frames: Tensor, state: State) -> tuple[Tensor | Mixture, State]:
        batch, steps = frames.shape[:2]
        pictures, told = frames.split([frames.shape[2] - self.told, self.told], 2)
        clips = pictures.unflatten(2, (self.groups, self.channels)).movedim(2, 1).flatten(0, 1)
        flat = clips.flatten(0, 1)
        features, visible, open_ = self._seen(flat)
        memory, belief, place = self._nothing(frames) if state is None else state
        window = self._window(frames, place)
        if self.told:
            lie = window[:, :-1].repeat_interleave(self.groups, 0).flatten(0, 1)
            features, visible = (laid(each, lie, self.sides, 0) for each in (features, visible))
        features, visible = (each.unflatten(0, (-1, steps)) for each in (features, visible))
        unroll = self.compiled if moving.applies(features) else self.unroll
        expected, after = unroll(features, visible, (memory.flatten(0, 1), belief.flatten(0, 1)))
        expected = expected.flatten(0, 1)
        if self.told:
            lie = window[:, 1:].repeat_interleave(self.groups, 0).flatten(0, 1)
            expected = shown(expected, lie, (frames.shape[3], frames.shape[4]))
        held, trust = expected.split([self.size, 1], 1)
        hidden = self.write(torch.cat([held, trust / (1 + trust), flat], 1))
        made = to_range(open_ * held[:, : self.channels] + self.frame(hidden))
        made, hidden = (
            each.unflatten(0, (batch, -1, steps)).transpose(1, 2).flatten(2, 3) for each in (made, hidden)
        )
        if self.settle is not None:
            made = torch.cat([made, told + self.settle * (0.5 - told)], 2)
        memory, belief = (each.unflatten(0, (batch, -1)) for each in after)
        return self.say(made, hidden), (memory, belief, window[:, -1])

    def _window(self, frames: Tensor, place: Tensor) -> Tensor:
        """Where each frame lies, and the one after the last, (B, T + 1, 2) int64."""
        if not self.told:
            return place[:, None].expand(-1, frames.shape[1] + 1, -1)
        moves = torch.cat([place[:, None], told_motion(frames)], 1)
        return moves.cumsum(1) % torch.tensor(self.sides, device=frames.device)

    def _seen(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of frames (N, C, H, W): features (N, C + features, H, W); how visible each place is in this frame,
        and how visible in the next, (N, 1, H, W) in [0, 1]."""
        channels = frames.shape[1]
        said = self.seen(self.read(8 * (frames - 0.5)))  # standardised, about
        own, learned, lit = said.split([channels, self.size - channels, 2], 1)
        visible, open_ = (lit + self.light(frames)).sigmoid().split(1, 1)
        return torch.cat([frames + own / 10, learned.tanh()], 1), visible, open_

    def _nothing(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The state before the first frame."""
        start = torch.cat([self.empty, self.empty.new_tensor([UNKNOWN])])
        groups = len(frames), self.groups, len(self.ways)
        memory = start[:, None, None].expand(*groups, -1, *self.sides)
        belief = frames.new_full(groups, -math.log(len(self.ways)))
        return memory, belief, torch.zeros(len(frames), 2, dtype=torch.int64, device=frames.device)

    def unroll(self, features: Tensor, visible: Tensor, state: Memory) -> tuple[Tensor, Memory]:
        """What the memory expects to see after each frame, (B, T, C + features + 1, H, W), and the state.

        Args:
            features: (B, T, C + features, H, W).
            visible: (B, T, 1, H, W), how visible each place is.
        """
        expected = []
        for step in range(features.shape[1]):
            memory, belief = self._observe(state, features[:, step], visible[:, step])
            state = self._moved(memory), belief
            expected.append(_under(belief, state[0]))
        return torch.stack(expected, 1), state

    def compiled(self, features: Tensor, visible: Tensor, state: Memory) -> tuple[Tensor, Memory]:
        """The same by compiled code."""
        expected, *after = moving.Unroll.apply(
            features, visible, *state, torch.cat(self._constants()), torch.tensor(self.ways), self.wraps
        )
        return expected, tuple(after)

    def _constants(self) -> tuple[Tensor, Tensor]:
        """c, q and the part that goes back, (3,); and p, (C + features,)."""
        logits = torch.stack([self.keep, self.turn, self.share])
        return (SCALE * logits).sigmoid(), (SCALE * self.precision).exp()

    def _observe(self, state: Memory, features: Tensor, visible: Tensor) -> Memory:
        """The state after a frame, before it moves on."""
        (memory, belief), ((keep, turn, share), precision) = state, self._constants()
        held, trust = memory.split([self.size, 1], 2)
        visible = visible[:, None]
        before, off = keep * trust, features[:, None] - held  # (B, V, 1, H, W), (B, V, C, H, W)
        gain = visible / (before + visible + 1e-6)
        surprise = (off.square() * precision[:, None, None]).sum(2) * (before * gain)[:, :, 0]  # (B, V, H, W)
        belief = (belief - surprise.sum((2, 3)) / 2).log_softmax(1)
        belief = torch.logaddexp(belief + torch.log1p(-turn), turn.log() - math.log(len(self.ways)))
        memory = torch.cat([held + gain * off, before + visible], 2)
        together = _under(belief, memory)[:, None]
        return torch.lerp(memory, together.expand_as(memory), share), belief

    def _moved(self, memory: Tensor) -> Tensor:
        """Each copy of the memory (B, V, C, H, W) moved on by its velocity."""
        copies = zip(memory.unbind(1), self.ways, strict=True)
        if self.wraps:
            return torch.stack([copy.roll(way, (2, 3)) for copy, way in copies], 1)
        moved = (nn.functional.pad(copy, (right, -right, down, -down)) for copy, (down, right) in copies)
        return torch.stack([*moved], 1)


class _Layers(nn.Module):
    """Convolutions, each with a relu, from so many channels to `hidden_size`. The picture is continued beyond
    its border once, as far as they see together."""

    def __init__(self, config: MovingMemory, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for pair in itertools.pairwise([channels, *[config.hidden_size] * config.num_layers]):
            layers += [nn.Conv2d(*pair, config.kernel_size), nn.ReLU()]
        self.layers, self.beyond = nn.Sequential(*layers), config.num_layers * (config.kernel_size // 2)
        self.wraps = config.border == "torus" and not config.canvas

    def forward(self, frames: Tensor) -> Tensor:
        if self.wraps:
            rows, columns = (
                torch.arange(-self.beyond, side + self.beyond, device=frames.device) % side
                for side in frames.shape[2:]
            )
            frames = frames[:, :, rows[:, None], columns]
        else:
            frames = nn.functional.pad(frames, (self.beyond,) * 4)
        return self.layers(frames.contiguous(memory_format=torch.channels_last)).contiguous()


def _under(belief: Tensor, memory: Tensor) -> Tensor:
    """The mean of all copies (B, V, C, H, W) under the log probabilities (B, V): (B, C, H, W)."""
    return torch.einsum("bv,bvchw->bchw", belief.exp(), memory)
