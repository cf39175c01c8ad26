"""The command line: thin, and quick to answer. torch is imported only once a command is sure to run."""

import os
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import partial

from framegen import verbs
from framegen.config.experiments import EXPERIMENTS, nearest
from framegen.config.reading import refuse_empty
from framegen.machine.errors import OptionError, UserError, printable
from framegen.machine.plugins import import_installed, import_named
from framegen.machine.progress import prepare_streams

COMMANDS = {
    "continue": (verbs.continue_films, "let a film of your own go on: framegen continue my.mp4 --seconds 2"),
    "data": (
        verbs.data,
        "bring films of your own in: framegen data import my.mp4 --name my; data list; data show my",
    ),
    "train": (
        verbs.train,
        "train a model, or many seeds of it: framegen train [EXPERIMENT] [--seeds N] [--options]",
    ),
    "search": (
        verbs.search,
        "search for the best options: framegen search [EXPERIMENT] --learning-rate 1e-3..1e-1 --trials 20",
    ),
    "evaluate": (
        verbs.evaluate,
        "measure a run against every baseline and the optimum: framegen evaluate RUN",
    ),
    "compare": (
        verbs.compare,
        "put finished runs side by side, in a table and a figure: framegen compare RUN RUN --out both.png",
    ),
    "generate": (
        verbs.generate,
        "let a run's model continue a prompt: framegen generate RUN --frames 40 --out clip.gif",
    ),
    "probe": (
        verbs.probe,
        "what a run's nets know of what can be known, and what their long loops do: framegen probe RUN",
    ),
    "draw": (verbs.draw, "draw a run's net and its curves: framegen draw RUN"),
    "play": (verbs.play, "play with a run's net in the browser: framegen play RUN"),
    "reproduce": (
        verbs.reproduce,
        "run every claim of the article, and write a report: framegen reproduce",
    ),
    "bench": (verbs.bench, "measure this engine beside PyTorch and JAX: framegen bench"),
}
"""What is done with the words behind a command, and what help says of it."""


def main() -> None:
    """Entry point of `framegen`. Exits with 0, with 2 for an option that cannot work, else with 1 (or 128 +
    signal)."""
    from framegen.machine.interrupts import SIGNALS, Interrupted

    prepare_streams()
    try:
        import_installed()
        words = import_named(sys.argv[1:])
        if os.environ.get("WORLD_SIZE", "1") == "1":
            _main(words)
        else:  # torchrun
            from framegen.training.distributed import together

            together(partial(_main, words))
    except UserError as error:
        print(f"framegen: {error.line}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Interrupted as interrupt:
        for number in SIGNALS:  # all is saved: one more must not spoil the last line
            signal.signal(number, signal.SIG_IGN)
        print(f"framegen: {printable(interrupt)}", file=sys.stderr)
        sys.exit(interrupt.exit_code)
    except KeyboardInterrupt:
        print("framegen: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # a name too long, a full disk: the place it names says more than a traceback
        line = f"{error.filename or 'output'}: {error.strerror or error}"
        print(f"framegen: {printable(line)}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        print(f"framegen: {printable(_fault(error))}", file=sys.stderr)
        sys.exit(1)


def _fault(error: Exception) -> str:
    """What is said of an error that nobody foresaw; its traceback is kept in a file for ourselves alone."""
    place = "its traceback could not be saved"
    with suppress(OSError):
        number, name = tempfile.mkstemp(".txt", "framegen-")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
        place = f"its traceback is in {name}"
    said = next(iter(str(error).splitlines()), "no more is known")
    return f"{type(error).__name__}: {said}: this is a fault of framegen; {place}; please report it"


def _main(arguments: list[str]) -> None:
    refuse_empty(arguments)
    match arguments:
        case [] | ["-h" | "--help", *_]:
            print(_help())
        case [name, *words] if name in COMMANDS:
            command, _ = COMMANDS[name]
            command(words)
        case [unknown, *_]:
            raise OptionError(
                f"{unknown}: no such command{nearest(unknown, COMMANDS)}; framegen --help lists them"
            )


def _help() -> str:
    lines = [
        "framegen: next-frame video generation with recurrent networks, measured against the best possible",
        "",
    ]
    lines += [f"  framegen {name:<10}{text}" for name, (_, text) in COMMANDS.items()]
    lines += ["", "experiments for train (the first is the default):", ""]
    width = max(map(len, EXPERIMENTS)) + 2
    lines += [f"  {name:<{width}}{config.description}" for name, config in EXPERIMENTS.items()]
    return "\n".join(
        [
            *lines,
            "",
            "framegen COMMAND --help shows a command's options and their defaults.",
            "framegen --import my_world.py COMMAND knows models and tasks of your own (docs/extend.md).",
        ]
    )


if __name__ == "__main__":
    main()
