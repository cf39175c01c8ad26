"""What a search tries, as words, as a file and as a config."""

from dataclasses import replace
from pathlib import Path

import pytest

from framegen.config.config import Config
from framegen.config.experiments import EXPERIMENTS, configure
from framegen.config.reading import parse_train
from framegen.machine.errors import OptionError, UserError
from framegen.studies.search.space import Choice, Range, Space, check_space, command, read_search


def _space(*words: str, name: str = "video") -> Space:
    _, config, space = read_search(name, words)
    return check_space(config, space)


def test_a_range_a_list_and_what_is_fixed() -> None:
    words = "--learning-rate 1e-3..1e-1 --hidden_size=4..64 --cell tanh,gru --epochs 3 --trials 7 --no-prune"
    options, config, space = read_search("video", words.split())
    assert check_space(config, space) == {
        "learning_rate": Range(0.001, 0.1),
        "hidden_size": Range(4, 64),
        "cell": Choice(("tanh", "gru")),
    }
    assert (config.training.epochs, options.trials, options.prune) == (3, 7, False)
    assert config.seeds == ()
    assert read_search("video", ["--seeds", "4", "--period", "5..9"])[1].seeds == (0, 1, 2, 3)


def test_values_have_the_type_of_their_option() -> None:
    space = _space("--learning-rate", "1..5", "--batch-size=5,10", "--compile", "true,false")
    assert space == {
        "learning_rate": Range(1.0, 5.0),
        "batch_size": Choice((5, 10)),
        "compile": Choice((True, False)),
    }
    assert isinstance(space["learning_rate"].values[0], float)
    assert _space("--lag", "-3,-1,2", name="sine-lag") == {"lag": Choice((-3, -1, 2))}


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(1e-3, 1e-1, True), (4, 40, True), (4, 39, False), (0.0, 1.0, False), (-5, 50, False)],
)
def test_a_positive_range_of_a_decade_is_searched_on_a_logarithmic_scale(
    low: float, high: float, log: bool
) -> None:
    assert Range(low, high).log == log


def test_a_file_says_what_the_command_line_would(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text(
        'learning-rate = "1e-3..1e-1"\ncell = ["tanh", "gru"]\ncompile = [true, false]\nhidden_size = 8\n'
        "channels_last = true\ntrials = 9\nseeds = [3, 4]\n"
    )
    words = "--learning-rate 1e-3..1e-1 --cell tanh,gru --compile true,false --hidden-size 8 --channels-last"
    said = read_search("video", [*words.split(), "--trials", "9", "--seeds", "3", "4"])
    options, config, space = read_search("video", ["--space", str(path)])
    assert (replace(options, space=None), config, space) == said
    options, config, space = read_search(
        "video", [f"--space={path}", "--hidden-size", "2..4", "--trials", "1"]
    )
    assert (options.trials, space["hidden_size"]) == (1, Range(2, 4))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--epochs 3", "nothing is searched"),
        ("--learning-rate 1e-1..1e-3", "--learning-rate 0.1..0.001: goes from the lower"),
        ("--learning-rate 1e-3..1e-1,0.5", "give one range, or a list"),
        ("--learning-rate 1e-3 1e-1", "--learning-rate 1e-3 1e-1: several values have commas"),
        ("--hidden-size 0..4", "--hidden-size 0"),
        ("--cell tanh,tanh", "--cell tanh,tanh: a value is given twice"),
        ("--cell tanh,gru --cell tanh,lstm", "--cell: is given twice"),
        ("--batch-size 5..60 --num-clips 40", "--batch-size 60"),
        ("--num-clips 30,100 --batch-size 20,40", "--batch-size 40"),
        ("--closed-loop 0,5 --sampling none,scheduled", "--closed-loop 5"),
        ("--seed 0..9 --seeds 3", "--seed 0: cannot be combined with --seeds"),
        ("--learning-rate=0..1", "--learning-rate 0.0"),
        ("--learnin-rate 1e-3..1e-1", "--learnin-rate: no such option; did you mean --learning-rate?"),
    ],
)
def test_what_cannot_be_searched_is_named(words: str, reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        _space(*words.split())


@pytest.mark.parametrize("words", ["--hidden-size 1.5..4", "--cell tanh,pony"])
def test_what_no_option_takes_ends_the_command(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        _space(*words.split())
    assert stop.value.code == 2
    assert words.split()[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ({"hidden": Range(1, 2)}, "hidden: video has no such option"),
        ({"hidden_size": Range(1, 2.5)}, "--hidden-size 1..2.5: is a whole number"),
        ({"cell": Range(1, 2)}, "--cell 1..2: is no number"),
        ({"compile": Range(0, 1)}, "--compile 0..1: is no number"),
    ],
)
def test_in_python_the_same_is_named(space: Space, reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        check_space(EXPERIMENTS["video"], space)


@pytest.mark.parametrize(
    ("content", "reason"),
    [("a = ", "is no TOML file"), ("[a]\nb = 1", "a: is a number"), ("a = 1979-05-27", "a: is")],
)
def test_a_file_that_is_none_is_named(content: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"space\.toml: .*{reason}"):
        read_search("video", ["--space", str(path)])


@pytest.mark.parametrize(
    "config",
    [
        configure("video", None, {"learning_rate": 0.012520653814999465, "hidden_size": 8}),
        configure("video", 4, {"speeds": (1, 3), "max_grad_norm": float("inf"), "engine": "torch"}),
        configure("video-gru", [5, 7], {"ema": 0.5, "compile": True}),
        configure("clips", None, {"dataset": "mine", "flip": False, "loss": "mse"}),
        configure("sine-next", None, {"lag": -2}),
        configure("video", None, {"hidden_size": 256}),
        configure(EXPERIMENTS["video"], None, {"hidden_size": 256}),  # as a search tries it
    ],
)
def test_the_command_of_a_config_makes_it(config: Config) -> None:
    framegen, train, name, *words = command(config).split()
    assert (framegen, train) == ("framegen", "train")
    assert parse_train(name, words)[1] == config
