"""The command line: thin, and quick to answer. torch is imported only once a command is sure to run."""

import os
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from framegen.config import options
from framegen.config.experiments import EXPERIMENTS, nearest
from framegen.config.reading import parse, refuse_empty
from framegen.machine.errors import OptionError, UserError, printable
from framegen.machine.plugins import import_installed, import_named
from framegen.machine.progress import answer, prepare_streams

COMMANDS: dict[str, tuple[type | str, str, str | None]] = {
    "continue": (options.Continue, "commands.continuing:continue_films", "print_films"),
    "data import": (options.Import, "data.films.importing:import_films", "print_imported"),
    "data list": (options.ListData, "commands.datasets:list_datasets", "print_listed"),
    "data show": (options.ShowData, "commands.datasets:show", "print_shown"),
    "train": ("config.reading:read_train", "studies.grid:train_all", "print_all"),
    "train --resume": (options.Resume, "commands.training:resume", "studies.grid:print_run"),
    "search": (
        "studies.search.space:read_words",
        "studies.search.start:search",
        "studies.search.results:print_found",
    ),
    "evaluate": (options.Evaluate, "commands.evaluation:evaluate", "print_run"),
    "compare": (options.Compare, "studies.comparison.compare:compare", "print_compared"),
    "generate": ("config.reading:read_generate", "commands.generation:generate", None),
    "probe": (options.Probe, "studies.probe.run:probe", "print_probed"),
    "draw": (options.Draw, "commands.evaluation:draw", None),
    "play": (options.Play, "commands.playing:play", "print_played"),
    "reproduce": (options.Reproduce, "studies.reproduce:reproduce", "print_findings"),
}
"""The class of a command's options, or what makes its arguments of the words; what is called with these; and
what prints the outcome, which without a module stands beside that. Named by its place, nothing is imported
that a command may not need."""

HELP = """\
framegen: next-frame video generation with recurrent networks, measured against the best possible

  framegen continue       let a film of your own go on: framegen continue my.mp4 --seconds 2
  framegen data import    bring films of your own in: framegen data import my.mp4 --name my
  framegen data list      say which films were brought in
  framegen data show      look at them, or at a film: framegen data show my
  framegen train          train a model, or many seeds of it: framegen train [EXPERIMENT] [--seeds N]
  framegen train --resume go on with a training that was stopped: framegen train --resume RUN
  framegen search         search for the best options: framegen search [EXPERIMENT] --learning-rate 1e-3..1e-1
  framegen evaluate       measure a run against every baseline and the optimum: framegen evaluate RUN
  framegen compare        put finished runs side by side: framegen compare RUN RUN --out both.png
  framegen generate       let a run's model continue a prompt: framegen generate RUN --out clip.gif
  framegen probe          what a run's nets know of what can be known: framegen probe RUN
  framegen draw           draw a run's net and its curves: framegen draw RUN
  framegen play           play with a run's net in the browser: framegen play RUN
  framegen reproduce      run every claim of the article, and write a report

experiments for train (the first is the default):
"""


def main() -> None:
    """Entry point of `framegen`. Exits with 0, with 2 for a wrong option, else with 1 (or 128 + signal)."""
    from framegen.machine.interrupts import SIGNALS, Interrupted

    prepare_streams()
    try:
        import_installed()
        words = import_named(sys.argv[1:])
        if os.environ.get("WORLD_SIZE", "1") == "1":
            _main(words)
        else:  # torchrun
            _at("commands.together:together")(partial(_main, words))
        return
    except UserError as error:
        said, code = str(error), error.exit_code
    except Interrupted as interrupt:
        for number in SIGNALS:  # all is saved: one more must not spoil the last line
            signal.signal(number, signal.SIG_IGN)
        said, code = str(interrupt), interrupt.exit_code
    except KeyboardInterrupt:
        said, code = "interrupted", 130
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # a name too long, a full disk: the place it names says more than a traceback
        said, code = f"{error.filename or 'output'}: {error.strerror or error}", 1
    except Exception as error:
        said, code = _fault(error), 1
    print(f"framegen: {printable(said)}", file=sys.stderr)
    sys.exit(code)


def _fault(error: Exception) -> str:
    """The message of an unforeseen error; its traceback is kept in a file that only the user can read."""
    said = next(iter(str(error).splitlines()), "no more is known")
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which may not be imported here
        asked = ". ".join(said.split(". ")[:2])
        way_out = "a smaller --batch-size or --accumulate N takes less, --device cpu none of the GPU's"
        return f"{asked}: {way_out}; saved training is kept"
    place = "its traceback could not be saved"
    with suppress(OSError):
        number, name = tempfile.mkstemp(".txt", "framegen-")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
        place = f"its traceback is in {name}"
    return f"{type(error).__name__}: {said}: this is a fault of framegen; {place}; please report it"


def _main(arguments: list[str]) -> None:
    refuse_empty(arguments)
    command = " ".join(arguments[: 2 if arguments[:1] == ["data"] else 1])
    words = arguments[len(command.split()) :]
    if command == "train" and any(word.split("=")[0] == "--resume" for word in words):
        command = "train --resume"
    if command in ("", "-h", "--help", "data", "data -h", "data --help"):
        print(HELP, *(f"  {name:<25}{each.description}" for name, each in EXPERIMENTS.items()), sep="\n")
        print("\nframegen COMMAND --help shows a command's options and their defaults.")
        print("framegen --import my_world.py COMMAND knows models and tasks of your own (docs/extend.md).")
    elif command in COMMANDS:
        if not command.startswith("train") and os.environ.get("WORLD_SIZE", "1") != "1":
            raise OptionError(f"torchrun: {command} is done by one process; leave torchrun out")
        reads, calls, prints = COMMANDS[command]
        if isinstance(reads, str):
            given = _at(reads)(words)
        else:
            given = vars(parse(reads, command.removesuffix(" --resume"), words))
        outcome = _at(calls)(**given)
        if prints is not None:
            _at(prints, calls.partition(":")[0])(outcome, **given)
        else:
            answer(*outcome if isinstance(outcome, list) else (outcome,))
    else:
        raise OptionError(
            f"{command}: no such command{nearest(command, COMMANDS)}; framegen --help lists them"
        )


def _at(place: str, usual: str = "") -> Any:
    module, _, name = place.rpartition(":")
    return getattr(import_module(f"framegen.{module or usual}"), name)


if __name__ == "__main__":
    main()
