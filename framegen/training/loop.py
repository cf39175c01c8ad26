"""Training: one loop for every task and model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from framegen.evaluation.clip_errors import mean_square
from framegen.evaluation.likelihood import one_step_bits
from framegen.evaluation.metrics import median_index, over_members, ratio, skill
from framegen.evaluation.references import COPY_LAST, OPTIMUM
from framegen.machine.errors import UserError
from framegen.machine.progress import TrainingBar, say
from framegen.models.predictor import Predictor, device_of
from framegen.runs.checkpoint import CHECKPOINT
from framegen.runs.metrics import MEMBERS
from framegen.training.budget import planned_again
from framegen.training.ranks import Lost, current, take_up
from framegen.training.schedule import clips_per_epoch, epoch_order, learning_rate_at, steps_per_epoch
from framegen.training.under_way import OngoingTraining

OVER_COPYING = {"val/mse": "val/over_copying", "val/closed_loop_mse": "val/closed_loop_over_copying"}
"""By an error of the validation clips, what it is called as a multiple of copying's."""


class Diverged(UserError):
    """No net is left whose loss is finite."""


@dataclass(frozen=True)
class Epoch:
    """The argument of `on_epoch`, after each epoch."""

    number: int
    """From 1."""
    step: int
    """Optimizer steps taken."""
    metrics: Mapping[str, float]
    """Its values in metrics.jsonl and W&B: val/mse, and val/closed_loop_mse of nets trained closed-loop;
    where the optimum is known val/skill, else errors over copying's, unless nothing moves; val/bits of nets
    with a density head. For a population the mean, and its spread with _sd, _min and _max after the name."""
    members: Sequence[Mapping[str, float]]
    """By member: seed, train/loss (the mean over the epoch), val/mse."""
    models: Mapping[int, Predictor]
    """By seed, as they are now; they are trained on once the function returns."""
    shown: int
    """The seed of the median model by validation."""
    windows: Mapping[int, Tensor]
    """A stream's windows: the first model's predictions as it was trained on them, (1, T, C, H, W), in the
    first epoch and in this one: by window, counted on from epoch to epoch, from 0."""
    log_beside: Callable[[Mapping[str, float]], None] = field(default=lambda _: None, repr=False)

    def log(self, **values: float) -> None:
        """Put values of your own beside the epoch's, in metrics.jsonl and W&B: `epoch.log(norm=3.5)`, within
        `on_epoch`. What is not finite is left out. Raises OptionError where the epoch has such a name."""
        self.log_beside(values)


def fit(training: OngoingTraining, bar: TrainingBar) -> Iterator[Epoch]:
    """The loop, from where the training stands. Hands out each epoch, and saves after the caller is done."""
    config, per_epoch = training.config, steps_per_epoch(training.config, training.data)
    training.counted = training.clock()
    with training.held():
        if training.place.step == 0:
            if config.training.keep == "best":
                training.look(_validation_mse(training, config.training.closed_loop), 0)
            training.save()
        if current().count > 1 and current().rank == 0:
            take_up(training.folder)  # the others go on from there
        # A place at the end of an epoch is one whose epoch was handed out already.
        while training.place.step < training.total_steps:
            number = training.place.step // per_epoch
            training.engine.plan(training.total_steps)
            training.count_time()
            if training.place.step % per_epoch == 0:
                training.losses = torch.zeros_like(training.losses)
                first = len(training.data.train)  # the first epoch's windows are kept to the end
                training.windows = {n: made for n, made in training.windows.items() if n < first}
                training.engine.states = [None] * len(training.place.seeds)
            before = training.place
            _train_epoch(training, number, per_epoch, bar)
            trained, last = training.place, training.place.step - number * per_epoch
            pace = training.pace(before, number * per_epoch)
            epoch = _validate(training, number + 1, last)
            training.count_time()
            training.move(validation=training.place.spent - trained.spent)
            row = training.log(epoch.step, {"epoch": epoch.number, **epoch.metrics, **pace})
            for member in epoch.members:
                training.metrics.add(MEMBERS, {"epoch": epoch.number, **member})
            yield replace(epoch, log_beside=partial(training.log_beside, row, epoch.step))
            training.count_time()
            step = (trained.spent - before.spent) / (trained.step - before.step)
            training.place = planned_again(training.place, config.training.minutes, per_epoch, step)
            training.end_if_enough()
            training.end_if_stalled(epoch.number, bar.show)
            training.save(epoch.shown)
            bar.plan(training.total_steps)
            bar.epoch(epoch.number, _told(training, training.losses.mean().item() / last, epoch.metrics))
            training.stop_if_told(save=False)


def _train_epoch(training: OngoingTraining, epoch: int, per_epoch: int, bar: TrainingBar) -> None:
    """Take an epoch's steps that are left; end all where the minutes are over; save and stop at a signal."""
    config, data, engine = training.config, training.data, training.engine
    batch, total = config.training.batch_size, training.total_steps
    steps = min(per_epoch, total - epoch * per_epoch)
    clips = min(clips_per_epoch(config, data), steps * batch)
    every, in_order = len(data.train), data.carry_state
    orders = {seed: epoch_order(seed, epoch, every, in_order)[:clips] for seed in training.place.seeds}
    for model in engine.models:
        model.train()
    while training.place.step < min(epoch * per_epoch + steps, training.total_steps):
        begin = training.place.step - epoch * per_epoch
        end = min(begin + engine.chunk, steps)
        if data.carry_state:  # stop where the next window is to be shown
            end = min(end, (begin // data.windows_apart + 1) * data.windows_apart)
            if begin % data.windows_apart == 0:
                training.windows[epoch * every + begin] = _predict_window(training, begin)
        span = slice(begin * batch, end * batch)
        order = torch.stack([orders[seed][span] for seed in training.place.seeds])  # (K, N)
        rates = [
            learning_rate_at(config.training, training.place.step + k, total) for k in range(end - begin)
        ]
        started, waited = training.clock(), engine.waited
        try:
            losses, norms = engine.run(order, rates)
        except Lost:  # no net has taken this step: what was reached before it is not lost
            training.save()
            raise
        training.move(
            seconds=training.place.seconds + training.clock() - started,
            waited=training.place.waited + engine.waited - waited,
        )
        _log_steps(training, losses, norms, rates)
        bar.step(end - begin)
        training.count_time()
        place, minutes = training.place, config.training.minutes
        if minutes is not None and place.spent + place.validation >= 60 * minutes:  # no room for more
            training.move(planned=training.place.step)
            return
        if end < steps:
            training.stop_if_told(save=True)


def _log_steps(training: OngoingTraining, losses: Tensor, norms: Tensor, rates: Sequence[float]) -> None:
    """Log steps that were taken, (steps, K) each; drop members from the step on where they are not finite."""
    finite = losses.isfinite() & norms.isfinite()  # (steps, K)
    bad = (~finite.all(1)).nonzero()
    good = int(bad[0]) if len(bad) else len(losses)  # number of steps with a finite loss
    if good:
        values = over_members("train/loss", losses[:good]) | over_members("train/grad_norm", norms[:good])
        columns = {name: column.tolist() for name, column in values.items()}
        columns["train/learning_rate"] = list(rates[:good])
        for row in zip(*columns.values(), strict=True):
            training.move(step=training.place.step + 1)
            training.log(training.place.step, dict(zip(columns, row, strict=True)))
        for step in losses[:good].double():
            training.losses = training.losses + step
    if good < len(losses):
        alive = finite[good]
        what = "training loss" if not losses[good].isfinite().all() else "gradient's norm"
        _drop(training, alive, what, losses[good] if what == "training loss" else norms[good])
        _log_steps(training, losses[good:, alive], norms[good:, alive], rates[good:])


def _drop(training: OngoingTraining, alive: Tensor, what: str, values: Tensor) -> None:
    """Go on without the members whose value is not finite. Raises Diverged where none is left."""
    place, path = training.place, training.folder / CHECKPOINT
    kept = [k for k, ok in enumerate(alive.tolist()) if ok]
    lost = {seed: values[k].item() for k, seed in enumerate(place.seeds) if k not in kept}
    seed, value = next(iter(lost.items()))
    found = f"{training.folder}: the {what} of seed {seed} is {value} at step {place.step + 1}"
    if len(lost) == len(place.seeds):
        way_out = f"a smaller --learning-rate than {training.config.training.learning_rate:g} may help"
        raise Diverged(f"{found}; the last good checkpoint, step {training.saved_step}, is {path}; {way_out}")
    left = f"{len(lost)} of {len(place.seeds)} nets diverged and were dropped, the others go on"
    say(f"{found}; {left}", current().rank == 0)
    training.engine.keep(kept)
    training.losses = training.losses[kept]
    training.best = {name: value[kept] for name, value in training.best.items()}
    dropped = place.dropped | dict.fromkeys(lost, place.step + 1)
    training.move(seeds=tuple(place.seeds[k] for k in kept), dropped=dropped)


def _validate(training: OngoingTraining, number: int, steps: int) -> Epoch:
    """The epoch's results; a member whose validation mse is not finite is dropped."""
    errors = {"val/mse": _validation_mse(training)}
    if steps_of_loop := training.config.training.closed_loop:
        errors["val/closed_loop_mse"] = _validation_mse(training, steps_of_loop)
    for name in errors:
        if not (alive := errors[name].isfinite()).all():
            _drop(training, alive, name, errors[name])
            errors = {each: values[alive] for each, values in errors.items()}
    metrics: dict[str, Tensor] = {}
    for name, values in errors.items():
        metrics |= over_members(name, values)
    training.look(list(errors.values())[-1], number)
    mse = errors["val/mse"]
    if training.engine.kept[0].has_density:
        bits = [one_step_bits(each, training.data.val).mean() for each in training.engine.kept]
        metrics |= over_members("val/bits", torch.stack(bits))
    if OPTIMUM in training.references:
        references = (training.references[COPY_LAST], training.references[OPTIMUM])
        skills = [skill(value, *references) for value in mse.tolist()]
        if None not in skills:
            metrics |= over_members("val/skill", torch.tensor(skills))
    else:
        for name, values in errors.items():
            shares = [ratio(value, training.copying[name]) for value in values.tolist()]
            if None not in shares:
                metrics |= over_members(OVER_COPYING[name], torch.tensor(shares, dtype=torch.float64))
    seeds = training.place.seeds
    losses = (training.losses / steps).tolist()
    return Epoch(
        number,
        training.place.step,
        {name: value.item() for name, value in metrics.items()},
        [
            {"seed": seed, "train/loss": loss, "val/mse": value}
            for seed, loss, value in zip(seeds, losses, mse.tolist(), strict=True)
        ],
        dict(zip(seeds, training.engine.kept, strict=True)),
        seeds[median_index(mse.tolist())],
        training.windows,
    )


def _told(training: OngoingTraining, loss: float, metrics: Mapping[str, float]) -> str:
    """An epoch in a few words: loss and skill; where no optimum is known validation errors, as multiples of
    copying's unless nothing moves there. First comes what decides which weights are kept, and its best."""
    if "val/skill" in metrics:
        return f"loss {loss:.5f}  val skill {metrics['val/skill']:.3f}"
    names = {"val/closed_loop_mse": "closed loop ", "val/mse": "1 step "}
    values = {name: metrics[name] for name in names if name in metrics}
    moves = all(OVER_COPYING[name] in metrics for name in values)
    told = []
    for name, mse in values.items():
        best = training.best["mse"].mean().item() if training.best and not told else mse
        unit = training.copying[name] if moves else 1
        here, lowest = (f"{each / unit:{'.3f' if moves else '.3g'}}" for each in (mse, best))
        name_first = names[name] if len(values) > 1 else ""
        told.append(f"{name_first}{here}" if lowest == here else f"{name_first}{here} (best {lowest})")
    errors = ", ".join(told)
    return f"val {errors} of copying's error" if moves else f"loss {loss:.3g}  val mse {errors}"


def _validation_mse(training: OngoingTraining, closed_loop: int = 0) -> Tensor:
    """Each member's validation mse, (K,) float64; see `mean_square`."""
    for model in (*training.engine.models, *training.engine.kept):
        model.eval()
    predictors, clips = training.engine.predictors, training.data.val
    return torch.tensor([mean_square(each, clips, closed_loop) for each in predictors], dtype=torch.float64)


@torch.inference_mode()
def _predict_window(training: OngoingTraining, window: int) -> Tensor:
    """The first model's predictions of a stream's window, just before it trains on it: (1, T, C, H, W)."""
    model, state = training.engine.models[0], training.engine.states[0]
    inputs, _ = training.data.train.batch(slice(window, window + 1))
    model.eval()
    predictions = model(inputs.to(device_of(model)), state)[0].cpu()
    model.train()
    return predictions
