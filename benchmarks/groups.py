"""What is measured beside what, at which sizes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks import in_jax
from benchmarks.contenders import (
    compiled_steps,
    compiled_training,
    eager_training,
    fused_training,
    layers_loss,
    rollout,
    stacked_training,
    torch_training,
    written_out_loss,
)
from benchmarks.measure import Call, Case, Contender, Group
from framegen.config.models import ConvRecurrent, Recurrent
from framegen.config.tasks import Orbit
from framegen.config.training import Training
from framegen.data import orbit
from framegen.data.clips import TensorClips
from framegen.models import build
from framegen.models.kernels.fused import MAX_HIDDEN, FusedPredictor
from framegen.models.nets.recurrent import RecurrentNet

TRAINING = Training(max_grad_norm=math.inf)
"""The article's batches; the gradient is not clipped, since the loop of a tutorial does not clip it."""

FUSED = "fused engine"


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Whatever is trained is trained in batches of `TRAINING.batch_size` clips."""

    clips: int = 1000
    """Clips of an epoch, in the first table and for populations."""
    members: tuple[int, ...] = (1, 16, 64, 256)
    """Nets of a population."""
    stacked_steps: int = 10
    """Steps a call of the populations in PyTorch and JAX, which are slow."""
    batches: tuple[int, ...] = (1, 10, 1000)
    """Clips that are generated side by side."""
    frames: int = 1000
    """Frames that a rollout generates."""
    hidden_sizes: tuple[int, ...] = (5, 16, 32, 64, 128)
    num_frames: tuple[int, ...] = (50, 200, 1000)
    """Frames a clip; the net is shown all but the last."""
    limit_clips: int = 100
    """Clips of an epoch, where the fused engine's limits are looked for."""
    compilers: bool = True
    """Whether torch.compile and JAX take part."""
    nets: tuple[Recurrent, ...] = (
        Recurrent("gru", 32),
        Recurrent("lstm", 32),
        Recurrent("mingru", 32),
        Recurrent("tanh", 5, 2),
    )
    """Other cells and more layers."""
    gru_members: tuple[int, ...] = (64,)
    """Nets of a population of the first of these."""
    pixels: int = 16
    """Height and width of the frames of a convolutional GRU, which a GPU trains."""
    channels: int = 32
    """Its hidden channels."""


QUICK = Sizes(40, (1, 3), 2, (1, 20), 12, (5,), (20,), 40, False, (Recurrent("gru", 4),), (2,), 8, 2)
"""As little as shows that everything runs; its times say nothing."""


def groups(sizes: Sizes) -> tuple[Group, ...]:
    """All that is measured on the CPU, one group a table."""
    cores = torch.get_num_threads()
    article, gru = Recurrent(), sizes.nets[0]
    return (
        _training(sizes),
        _cells(sizes, cores),
        _populations(sizes, cores, article, sizes.members),
        _populations(sizes, cores, gru, sizes.gru_members),
        _rollouts(sizes, cores),
        _limits(sizes),
    )


def groups_on_gpu(sizes: Sizes, gpu: str = "cuda") -> tuple[Group, ...]:
    """Trainings on the GPU beside the same on the CPU."""
    few, cores = sizes.stacked_steps * TRAINING.batch_size, torch.get_num_threads()

    def case(label: str, config: Recurrent | ConvRecurrent, pixels: int) -> Case:
        data, order = clips(few, pixels=pixels), orders(1, few)
        ways: dict[str, tuple[Callable[[], Call], tuple[int, ...]]] = {}
        if isinstance(config, Recurrent):
            ways[FUSED] = (partial(fused_training, [net(config)], data, TRAINING, order), (1,))
        for name, device, threads in (
            ("PyTorch, CPU", "cpu", tuple(sorted({1, cores}))),
            ("PyTorch, GPU", gpu, (1,)),
        ):
            model = build(config, (1, pixels, pixels), 0)
            ways[name] = (partial(torch_training, model, data, TRAINING, order, device), threads)
        contenders = [
            Contender(name, way, sizes.stacked_steps, threads) for name, (way, threads) in ways.items()
        ]
        return Case(label, tuple(contenders))

    conv, frames = ConvRecurrent("convgru", sizes.channels), Orbit.num_frames - 1
    cases = (
        case("the article's net", Recurrent(), 2),
        case(_said(sizes.nets[0]), sizes.nets[0], 2),
        case(f"ConvGRU, {conv.hidden_size} channels, {sizes.pixels}x{sizes.pixels}", conv, sizes.pixels),
    )
    title = f"Training on the GPU and on the CPU: batches of {TRAINING.batch_size}, {frames} frames in"
    return (Group(title, "training step", cases, "net", ("PyTorch: framegen's own engine in it.",)),)


def net(config: Recurrent | None = None, seed: int = 0) -> RecurrentNet:
    """A new net for frames of 2x2 pixels, the article's unless told otherwise."""
    model = build(config or Recurrent(), (1, 2, 2), seed)
    assert isinstance(model, RecurrentNet)
    return model


def clips(num_clips: int, num_frames: int = Orbit.num_frames, pixels: int = 2) -> TensorClips:
    """The article's clips, of so many pixels in height and width: each frame's target is the next one."""
    frames = orbit.sample(Orbit(num_clips=num_clips, num_frames=num_frames, size=pixels), "train")
    return TensorClips(frames[:, :-1], frames[:, 1:])


def orders(members: int, num_clips: int) -> Tensor:
    """An order of all clips for each member, (members, num_clips)."""
    random = torch.Generator().manual_seed(0)
    return torch.stack([torch.randperm(num_clips, generator=random) for _ in range(members)])


def _training(sizes: Sizes) -> Group:
    data, order = clips(sizes.clips), orders(1, sizes.clips)

    ways: dict[str, Callable[[], Call]] = {
        FUSED: partial(fused_training, [net()], data, TRAINING, order),
        "PyTorch": partial(eager_training, net(), data, TRAINING, layers_loss),
    }
    if sizes.compilers:
        for name, loss in {
            "torch.compile, nn.RNN": layers_loss,
            "torch.compile, own loop": written_out_loss,
        }.items():
            ways[name] = partial(compiled_training, net(), data, TRAINING, loss)
        ways["torch.compile, whole step"] = partial(compiled_steps, net(), data, TRAINING)
        for name, product in in_jax.PRODUCTS.items():
            ways[name] = partial(in_jax.training, [net()], data, TRAINING, order, product)
    steps = sizes.clips // TRAINING.batch_size
    contenders = tuple(Contender(name, prepare, steps) for name, prepare in ways.items())
    frames = Orbit.num_frames - 1
    title = (
        f"Training the article's net: {sizes.clips} clips, batches of {TRAINING.batch_size}, {frames} frames "
        "in, one thread"
    )
    notes = (
        "PyTorch: nn.RNN, nn.Linear, DataLoader and Adam as in a tutorial. torch.compile leaves nn.RNN as it "
        "is; own loop: the loop over time is written out for it; whole step: loss, gradient and Adam are one "
        "graph besides. JAX: an epoch is one compiled call.",
    )
    return Group(
        title,
        "training step",
        (Case("", contenders),),
        notes=notes if sizes.compilers else (),
        tell_ready=True,
    )


def _said(config: Recurrent) -> str:
    cell = {"mingru": "minGRU"}.get(
        config.cell, config.cell if config.cell == "tanh" else config.cell.upper()
    )
    layers = f"{config.num_layers} layers of " if config.num_layers > 1 else ""
    return f"{cell}, {layers}{config.hidden_size} units"


def _cells(sizes: Sizes, cores: int) -> Group:
    data, order = clips(sizes.clips), orders(1, sizes.clips)
    steps, threads = sizes.clips // TRAINING.batch_size, tuple(sorted({1, cores}))

    def case(config: Recurrent) -> Case:
        ways = {
            FUSED: partial(fused_training, [net(config)], data, TRAINING, order),
            "PyTorch": partial(eager_training, net(config), data, TRAINING, layers_loss),
        }
        contenders = [Contender(name, way, steps, threads) for name, way in ways.items()]
        if sizes.compilers:
            for name, product in in_jax.ways(config.cell).items():
                way = partial(in_jax.training, [net(config)], data, TRAINING, order, product)
                contenders.append(Contender(name, way, steps))
        return Case(_said(config), tuple(contenders))

    title = f"Other cells and more layers: as in the first table, 1 or {cores} threads (JAX: 1)"
    notes = ("The two ways in JAX differ in the product with the last state, which a minGRU has not.",)
    return Group(
        title, "training step", tuple(map(case, sizes.nets)), "net", notes if sizes.compilers else ()
    )


def _populations(sizes: Sizes, cores: int, config: Recurrent, counts: tuple[int, ...]) -> Group:
    data, threads = clips(sizes.clips), tuple(sorted({1, cores}))

    def case(members: int) -> Case:
        order = orders(members, sizes.clips)
        few = order[:, : sizes.stacked_steps * TRAINING.batch_size]
        steps = sizes.clips // TRAINING.batch_size

        def nets() -> list[RecurrentNet]:
            return [net(config, seed) for seed in range(members)]

        ways = {
            FUSED: (lambda: fused_training(nets(), data, TRAINING, order), steps),
            "PyTorch, stacked": (lambda: stacked_training(nets(), data, TRAINING, few), sizes.stacked_steps),
        }
        contenders = [Contender(name, way, members * n, threads) for name, (way, n) in ways.items()]
        if sizes.compilers:
            for name, product in in_jax.PRODUCTS.items():
                way = partial(in_jax.training, nets(), data, TRAINING, few, product)
                contenders.append(Contender(name, way, members * sizes.stacked_steps))
        return Case(f"{members}", tuple(contenders))

    title = (
        f"Populations: many nets at once ({_said(config)}), own batches each, 1 or {cores} threads (JAX: 1)"
    )
    return Group(title, "member-step", tuple(map(case, counts)), "nets")


def _rollouts(sizes: Sizes, cores: int) -> Group:
    context = orbit.CONTEXT

    def case(batch: int) -> Case:
        model, prompt = net(), clips(batch).batch(slice(None))[0][:, :context].contiguous()
        ways: dict[str, tuple[Callable[[], Call], tuple[int, ...]]] = {
            FUSED: (lambda: rollout(FusedPredictor(model), prompt, sizes.frames), (cores,)),  # its own choice
            "PyTorch": (lambda: rollout(model, prompt, sizes.frames), tuple(sorted({1, cores}))),
        }
        if sizes.compilers:
            for name, product in in_jax.PRODUCTS.items():
                ways[name] = (partial(in_jax.rollout, model, prompt, sizes.frames, product), (1,))
        contenders = [Contender(name, way, sizes.frames, threads) for name, (way, threads) in ways.items()]
        return Case(f"{batch}", tuple(contenders), batch)

    title = f"Rollout: {sizes.frames} frames generated closed-loop after a prompt of {context}"
    notes = ("JAX has one thread here too.",) if sizes.compilers else ()
    return Group(title, "frame of the batch", tuple(case(batch) for batch in sizes.batches), "batch", notes)


def _limits(sizes: Sizes) -> Group:
    smallest, shortest = sizes.hidden_sizes[0], sizes.num_frames[0]
    shapes = [(hidden, shortest) for hidden in sizes.hidden_sizes] + [
        (smallest, frames) for frames in sizes.num_frames[1:]
    ]

    def case(hidden: int, frames: int) -> Case:
        data, order = clips(sizes.limit_clips, frames), orders(1, sizes.limit_clips)

        ways = {
            FUSED: partial(fused_training, [net(Recurrent(hidden_size=hidden))], data, TRAINING, order),
            "PyTorch": partial(
                eager_training, net(Recurrent(hidden_size=hidden)), data, TRAINING, layers_loss
            ),
        }
        steps = sizes.limit_clips // TRAINING.batch_size
        return Case(
            f"{hidden} units, {frames} frames",
            tuple(Contender(name, way, steps) for name, way in ways.items()),
        )

    title = "Larger nets and longer clips, one thread"
    notes = (f"A training takes the fused engine up to {MAX_HIDDEN} hidden units.",)
    return Group(
        title, "training step", tuple(case(*shape) for shape in shapes), "hidden units, clips", notes
    )
