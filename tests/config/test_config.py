import json
import math
from dataclasses import replace
from typing import Any

import pytest

from framegen.config.config import Config, from_dict, to_dict
from framegen.config.experiments import EXPERIMENTS, configure
from framegen.config.models import MLP, Recurrent
from framegen.config.reading import parse_train
from framegen.config.tasks import Orbit, Sine
from framegen.config.training import Training
from framegen.machine.errors import OptionError, UserError


@pytest.mark.parametrize("config", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_a_config_survives_json(config: Config) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(config))), "file") == config


def test_infinite_gradient_norm_survives_json() -> None:
    config = Config(Orbit(), Recurrent(), Training(max_grad_norm=math.inf))
    assert from_dict(json.loads(json.dumps(to_dict(config))), "file") == config


def test_a_run_that_names_a_former_option_opens() -> None:
    config = EXPERIMENTS["video-gru"]
    values = to_dict(config)
    assert from_dict({**values, "training": {**values["training"], "read_ahead": 2}}, "file") == config


def test_every_experiment_is_described() -> None:
    assert all(config.description for config in EXPERIMENTS.values())


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        (Orbit, {"num_frames": 0}, "--num-frames"),
        (Orbit, {"num_clips": 0}, "--num-clips"),
        (Orbit, {"size": 0}, "--size"),
        (Orbit, {"noise": -0.1}, "--noise"),
        (Orbit, {"speeds": ()}, "--speeds"),
        (Orbit, {"speeds": (1, 1)}, "--speeds"),
        (Orbit, {"speeds": (13,)}, "--speeds"),
        (Orbit, {"period": 1}, "--period"),
        (Orbit, {"light_width": 0.0}, "--light-width"),
        (Orbit, {"data_seed": -1}, "--data-seed"),
        (Sine, {"lag": 21}, "--lag"),
        (Sine, {"lag": 0}, "--lag"),
        (Sine, {"window": 1}, "--window"),
        (Sine, {"num_test_windows": 0}, "--num-test-windows"),
        (Recurrent, {"hidden_size": -5}, "--hidden-size"),
        (Recurrent, {"num_layers": 0}, "--num-layers"),
        (MLP, {"hidden_size": 0}, "--hidden-size"),
        (Training, {"epochs": 0}, "--epochs"),
        (Training, {"batch_size": 0}, "--batch-size"),
        (Training, {"learning_rate": 0.0}, "--learning-rate"),
        (Training, {"max_grad_norm": 0.0}, "--max-grad-norm"),
        (Training, {"seed": -1}, "--seed"),
        (Training, {"media_every": -1}, "--media-every"),
    ],
)
def test_impossible_options_are_refused_by_name(kind: type, options: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        kind(**options)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(OptionError, match="--batch-size 11"):
        Config(Orbit(num_clips=10), Recurrent(), Training(batch_size=11))


def test_a_net_that_is_made_wider_takes_a_smaller_learning_rate_unless_one_is_given() -> None:
    def both(name: str, **options: Any) -> list[float]:
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        return [
            configure(name, options=options).training.learning_rate,
            parse_train(name, words)[1].training.learning_rate,
        ]

    assert both("video-gru", hidden_size=128) == [0.01 / 4] * 2
    own = replace(EXPERIMENTS["video-gru"], training=Training(learning_rate=0.02))
    assert configure(own, options={"hidden_size": 128}).training.learning_rate == 0.02  # it was given
    assert both("video-gru", hidden_size=64) == [0.01] * 2
    assert both("video-gru", hidden_size=128, learning_rate=0.01) == [0.01] * 2
    assert both("video-speeds-closed", cell="lstm") == [3e-3] * 2
    assert both("moving-mnist-convlstm", hidden_size=256) == [1e-3] * 2


@pytest.mark.parametrize("options", [["--closed-loop", "5"], ["--sampling", "scheduled"]])
def test_what_predicts_no_next_frame_is_not_shown_its_own_predictions(options: list[str]) -> None:
    with pytest.raises(OptionError, match=f"{' '.join(options)}: .*sine-lag are no next frames"):
        parse_train("sine-lag", options)
    parse_train("sine-next", options)


def test_what_is_no_option_of_an_experiment_is_named() -> None:
    for name in ("weights", "next_frame", "value_range", "nothing"):
        with pytest.raises(OptionError, match=f"{name}: video has no such option"):
            configure("video", options={name: 3})


def test_a_sine_is_trained_one_window_at_a_time() -> None:
    with pytest.raises(OptionError, match="--batch-size 2"):
        Config(Sine(), Recurrent(), Training(batch_size=2))


@pytest.mark.parametrize(
    "damage",
    [
        lambda v: v.pop("task"),
        lambda v: v["task"].update(unknown=1),
        lambda v: v["model"].update(kind="Orbit"),
        lambda v: v["model"].update(hidden_size=-1),
        lambda v: v.update(task=v["model"], model=v["task"]),
        lambda v: v.update(training=None),
    ],
)
def test_foreign_json_is_refused_by_the_name_of_its_file(damage) -> None:
    values = to_dict(replace(EXPERIMENTS["video"]))
    damage(values)
    with pytest.raises(UserError, match="some/file"):
        from_dict(values, "some/file")
