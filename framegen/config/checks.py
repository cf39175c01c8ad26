"""What the configs check their values with."""

from typing import Any

from framegen.machine.errors import OptionError

MAX_SEED = 2**63 - 1


def check(condition: bool, message: str) -> None:
    """Raises OptionError with the message where the condition does not hold."""
    if not condition:
        raise OptionError(message)


MAX_BYTES = 4 * 2**30


def check_clips(task: Any) -> None:
    """A task with training, validation and test clips has some of each."""
    for name in ("num_clips", "num_val_clips", "num_test_clips"):
        number = getattr(task, name)
        check(number >= 1, f"--{name.replace('_', '-')} {number}: at least 1 clip is needed")


def check_bytes(size: int, options: str) -> None:
    """So many bytes of clips, which follow from these options, are not too many."""
    most = f"at most {MAX_BYTES / 2**30:.0f}"
    check(size <= MAX_BYTES, f"{options}: {size / 2**30:.1f} GiB of clips; {most}")


def check_bar(bar: int, size: int) -> None:
    """A bar leaves something to be seen."""
    check(0 <= bar < size, f"--bar {bar}: lies between 0 and {size - 1}, so that something is seen (--size)")


def check_batch(batch_size: int, clips: int) -> None:
    """There are as many training clips as a batch takes."""
    check(
        batch_size <= clips,
        f"--batch-size {batch_size}: larger than the {clips} training clips (--num-clips)",
    )
