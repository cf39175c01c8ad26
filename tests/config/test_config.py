import json
import math
from dataclasses import fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from framegen.commands.training import train
from framegen.config.config import Config, _subclasses, from_json, to_dict
from framegen.config.experiments import EXPERIMENTS, configure, values_of
from framegen.config.keywords import Keywords
from framegen.config.models import MLP, Model, Recurrent
from framegen.config.reading import parse_train
from framegen.config.tasks import Orbit, Sine, Task
from framegen.config.training import Training
from framegen.machine.errors import OptionError, UserError


@pytest.mark.parametrize("config", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_a_config_survives_json(config: Config) -> None:
    assert from_json(json.dumps(to_dict(config)), "file") == config


def test_infinite_gradient_norm_survives_json() -> None:
    config = Config(Orbit(), Recurrent(), Training(max_grad_norm=math.inf))
    assert from_json(json.dumps(to_dict(config)), "file") == config


def test_a_run_that_names_a_former_option_opens() -> None:
    config = EXPERIMENTS["video-gru"]
    values = to_dict(config)
    assert (
        from_json(json.dumps({**values, "training": {**values["training"], "read_ahead": 2}}), "file")
        == config
    )


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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cell": "gruu"}, "--cell 'gruu': should be 'tanh', 'relu', 'gru', 'lstm' or 'mingru'"),
        ({"hidden_size": "8"}, "--hidden-size '8': should be a valid integer"),
        ({"hidden_size": 8.0}, "--hidden-size 8.0: should be a valid integer"),
        ({"hidden_size": True}, "--hidden-size True: should be a valid integer"),
        ({"schedule": "linear"}, "--schedule 'linear': should be 'cosine', 'constant' or 'one-cycle'"),
        ({"device": "gpu"}, "--device 'gpu': should be 'auto', 'cpu' or 'cuda'"),
        ({"speeds": 3}, "--speeds 3: should be a valid tuple"),
        ({"minutes": "5"}, "--minutes '5': should be a valid number"),
        ({"seeds": 2, "seed": 7}, "--seed 7: cannot be combined with --seeds; give one of the two"),
        ({"seeds": 2.0}, "--seeds 2.0: should be a valid tuple"),
        ({"hiden_size": 8}, "hiden_size: video has no such option; did you mean hidden_size?"),
    ],
    ids=str,
)
def test_python_is_checked_like_the_command_line(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as refused:
        train("video", runs_dir=tmp_path / "runs", **options)
    assert str(refused.value) == said
    assert not (tmp_path / "runs").exists()


def test_a_list_is_taken_for_a_tuple_and_a_whole_number_for_a_float() -> None:
    config = configure("video-speeds", range(2), {"speeds": [1, 3], "learning_rate": 1})
    assert (config.seeds, values_of(config)["speeds"]) == ((0, 1), (1, 3))
    assert isinstance(config.training.learning_rate, float)


def _kinds(hint: Any) -> set[Any]:
    """The types of a union, and the choices of a literal."""
    return {kind for each in get_args(hint) for kind in _kinds(each)} if _is_union(hint) else {hint}


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Literal, Union, UnionType)


def test_keywords_are_the_options_of_every_experiment_and_nothing_else() -> None:
    found: dict[str, set[Any]] = {}
    for part in (*_subclasses(Task), *_subclasses(Model), Training):
        if part.__module__.startswith("framegen."):
            hints = get_type_hints(part)
            for each in fields(part):
                found.setdefault(each.name, set()).update(_kinds(hints[each.name]))
    keywords = {name: _kinds(hint) - {list[int]} for name, hint in get_type_hints(Keywords).items()}
    assert keywords == found


def test_clips_that_are_too_many_are_told_in_one_unit_with_the_way_out() -> None:
    with pytest.raises(
        OptionError, match=r"--size: 11\.4 GiB of clips; at most 4 GiB; make one of them smaller"
    ):
        Orbit(size=64, num_clips=60_000 - 700)


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
        from_json(json.dumps(values), "some/file")
