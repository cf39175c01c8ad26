"""The command line: thin, and quick to answer. Nothing is imported that a command may not need."""

import codecs
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import framegen
from framegen.machine.errors import OptionError, UserError, printable
from framegen.machine.interrupts import SIGNALS, Interrupted

COMMANDS: dict[str, tuple[str, str, str | None]] = {
    "train": ("config.reading:read_train", "studies.grid:train_all", "print_all"),
    "train --resume": ("config.options:Resume", "commands.training:resume", "studies.grid:print_run"),
    "play": ("config.options:Play", "commands.playing:play", "print_played"),
    "generate": ("config.options:Generate", "commands.generation:generate", None),
    "draw": ("config.options:Draw", "commands.evaluation:draw", None),
    "experiments": ("report.help:ListExperiments", "report.help:list_experiments", None),
    "evaluate": ("config.options:Evaluate", "commands.evaluation:evaluate", "print_run"),
    "compare": ("config.options:Compare", "studies.comparison.compare:compare", "print_compared"),
    "probe": ("config.options:Probe", "studies.probe.run:probe", "print_probed"),
    "search": (
        "studies.search.space:read_words",
        "studies.search.start:search",
        "studies.search.results:print_found",
    ),
    "reproduce": ("config.options:Reproduce", "studies.reproduce:reproduce", "print_findings"),
    "continue": ("config.options:Continue", "commands.continuing:continue_films", "print_films"),
    "data import": ("config.options:Import", "data.films.importing:import_films", "print_imported"),
    "data list": ("config.options:ListData", "data.films.dataset:list_datasets", "print_listed"),
    "data show": ("config.options:ShowData", "commands.datasets:show", "print_shown"),
}
"""The class of a command's options, or what makes its arguments of the words; what is called with these; and
what prints the outcome, which without a module stands beside that."""

LIGHT = {"experiments", "data list", "data import"}
"""What imports no torch."""

HELP = """\
framegen: watch a recurrent net learn to generate video, one frame at a time,
measured against the best that any predictor could do

start here
  train [EXPERIMENT]       train a net, at first the article's, and draw it
  play RUN                 run its net in the browser
  generate RUN --out FILE  write generated video: clip.gif, clip.mp4
  draw RUN                 draw its net and its curves again
study
  experiments              list what train can train
  evaluate RUN             measure it against every baseline and the optimum
  compare RUN RUN          put finished runs side by side
  probe RUN                measure what can be read from its state
  search [EXPERIMENT]      search for the best options
  reproduce                test every claim of the article; write a report
film
  continue FILM            train on your own film, generate what comes next
  data import|list|show    bring films in, list them, look at them

framegen COMMAND --help shows its options. framegen train --resume RUN goes on
with a stopped training. --import FILE.py brings models of your own."""


WITHOUT = {"±": "+-", "…": "..."}
"""What stands for a letter where an encoding, such as that of LANG=C, lacks it."""

ASKS_HELP = {"-h", "--help", "--help-all"}


def main() -> None:
    """Entry point of `framegen`. Exits with 0, with 2 for a wrong option, else with 1 (or 128 + signal)."""
    words = sys.argv[1:]
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    try:
        if words == ["--version"]:
            print(f"framegen {framegen.__version__}")
        elif _asks_for_commands(words):
            print_help()
        else:
            # A thread that waits for others leaves its core to whoever has work: where a machine has other
            # load, two that spin take twelve times as long. OpenMP asks once, as torch is loaded.
            os.environ.setdefault("OMP_WAIT_POLICY", "passive")
            _say_what_loads(words)
            _run(words)
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


def print_help() -> None:
    """Print the commands, at the terminal's width."""
    from framegen.report.folded import folded

    print(*folded(HELP, 80), sep="\n")


def _asks_for_commands(words: list[str]) -> bool:
    return {*words} <= ASKS_HELP or (words[:1] == ["data"] and {*words[1:]} <= ASKS_HELP)


def _say_what_loads(words: list[str]) -> None:
    """Importing torch takes seconds, in which nobody shall wonder whether anything happens."""
    command = _command(words)
    is_known = command in COMMANDS or words[0].startswith("--import")
    is_light = command in LIGHT or bool(ASKS_HELP & {*words}) or "torch" in sys.modules
    if sys.stderr and is_known and not is_light and os.environ.get("RANK", "0") == "0":
        print("loading PyTorch ...", file=sys.stderr, flush=True)


def _fault(error: Exception) -> str:
    """The message of an unforeseen error; its traceback is kept in a file that only the user can read."""
    said = next(iter(str(error).splitlines()), "no more is known")
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which may not be imported here
        asked = ". ".join(said.split(". ")[:2])
        way_out = "a smaller --batch-size or --accumulate N takes less, --device cpu none of the GPU's"
        return f"{asked}: {way_out}; saved training is kept"
    import tempfile
    import traceback

    from framegen.machine.plugins import lines_in, named

    place = "its traceback could not be saved"
    with suppress(OSError):
        number, name = tempfile.mkstemp(".txt", "framegen-")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
        place = f"its traceback is in {name}"
    line = f"{type(error).__name__}: {said}"
    if lines := lines_in(error, *named):
        return f"{Path(lines[-1].filename).name}, line {lines[-1].lineno}: {line}; {place}"
    return f"{line}: this is a fault of framegen; {place}; please report it"


def _command(words: list[str]) -> str:
    """The command that words begin with: one word, or two of data."""
    return " ".join(words[: 2 if words[:1] == ["data"] else 1])


def prepare_streams() -> None:
    """Let every command print: any name in any encoding, and into nothing where a stream is closed, since the
    next file that is opened would get its number, and what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 (as long as the process)
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    codecs.register_error("legible", _legible)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="legible")


def _legible(error: UnicodeError) -> tuple[str | bytes, int]:
    """In place of a letter that a stream's encoding lacks, some that it has."""
    assert isinstance(error, UnicodeEncodeError)
    if (letter := error.object[error.start]) in WITHOUT:
        return WITHOUT[letter], error.start + 1
    return codecs.backslashreplace_errors(error)


def _run(words: list[str]) -> None:
    from framegen.machine.plugins import import_installed, import_named

    prepare_streams()
    import_installed()
    words = import_named(words)
    if _asks_for_commands(words):  # behind an --import
        print_help()
        return
    if os.environ.get("WORLD_SIZE", "1") == "1":
        _do(words)
    else:  # torchrun
        at("commands.training:together")(partial(_do, words))


def _do(arguments: list[str]) -> None:
    from framegen.config.experiments import nearest
    from framegen.config.reading import parse, refuse_empty
    from framegen.machine.progress import answer

    refuse_empty(arguments)
    command = _command(arguments)
    words = arguments[len(command.split()) :]
    if command == "train" and any(word.split("=")[0] == "--resume" for word in words):
        command = "train --resume"
    if command.startswith("-"):
        raise OptionError(f"{command}: options come after the command: framegen COMMAND {command}")
    if command not in COMMANDS:
        raise OptionError(
            f"{command}: no such command{nearest(command, COMMANDS)}; framegen --help lists them"
        )
    if not command.startswith("train") and os.environ.get("WORLD_SIZE", "1") != "1":
        raise OptionError(f"torchrun: {command} is done by one process; leave torchrun out")
    reads, calls, prints = COMMANDS[command]
    reader = at(reads)
    if ASKS_HELP & {*words}:
        at("report.help:show")(command.removesuffix(" --resume"), reader, words)
        return
    is_class = isinstance(reader, type)
    given = vars(parse(reader, command.removesuffix(" --resume"), words)) if is_class else reader(words)
    outcome = at(calls)(**given)
    if prints is not None:
        at(prints, calls.partition(":")[0])(outcome, **given)
    else:
        answer(*outcome if isinstance(outcome, list) else (outcome,))


def at(place: str, usual: str = "") -> Any:
    """What stands at "module:function", imported now; without a module in the usual one."""
    module, _, name = place.rpartition(":")
    return getattr(import_module(f"framegen.{module or usual}"), name)


if __name__ == "__main__":
    main()
