"""Pictures of handwritten digits: MNIST's own files, or those that come with scikit-learn."""

import gzip
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from framegen.config.tasks import MovingMNIST
from framegen.machine.errors import UserError
from framegen.machine.files import check_file

Array = npt.NDArray[np.uint8]

TRAINING, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
SIDE = 28
"""Height and width of MNIST's pictures."""
MAX_BYTES = 2**30


def load_digits(config: MovingMNIST, folder: Path) -> dict[str, Tensor]:
    """By split, pictures (N, digit_size, digit_size) uint8; no picture is in two splits.

    The last twelfth of MNIST's training file is for validation; for the test is its test file, or where that
    is missing the last sixth of the rest. Raises UserError where they are missing or damaged.
    """
    if config.digits == "sklearn":
        pictures = _sklearn()
        # They are sorted by writer.
        shuffled = pictures[np.random.default_rng(0).permutation(len(pictures))]
        val, test, train = np.split(shuffled, [len(shuffled) // 12, len(shuffled) // 4])
    else:
        pictures, test = _mnist(folder, TRAINING), _mnist(folder, TEST)
        if pictures is None:
            sklearn = "--digits sklearn makes the same clips of digits that come with scikit-learn"
            missing = f"{TRAINING} (or .gz, or in MNIST/raw) of MNIST"
            raise UserError(f"{folder}: holds no {missing}; put it there, or {sklearn}")
        train, val = np.split(pictures, [len(pictures) - len(pictures) // 12])
        if test is None:
            train, test = np.split(train, [len(train) - len(train) // 6])
    splits = {"train": train, "val": val, "test": test}
    if not all(map(len, splits.values())):
        raise UserError(f"{folder}: its MNIST files hold too few digits for training, validation and test")
    return {name: _resized(digits, config.digit_size) for name, digits in splits.items()}


def _resized(pictures: Array, size: int) -> Tensor:
    """(N, H, W) -> (N, size, size) uint8, bilinear; pictures of that size stay as they are."""
    tensor = torch.from_numpy(pictures)
    if tensor.shape[1:] == (size, size):
        return tensor
    floats = tensor[:, None].float()
    enlarged = nn.functional.interpolate(floats, (size, size), mode="bilinear", antialias=True)
    return enlarged[:, 0].round().clamp(0, 255).to(torch.uint8)


def _sklearn() -> Array:
    """The 1797 pictures of sklearn.datasets.load_digits, (N, 8, 8), 0 ... 16 spread over 0 ... 255."""
    try:
        from sklearn.datasets import load_digits as bundled
    except ImportError as error:
        way = "`uv run --extra digits` (or pip install scikit-learn) brings it"
        raise UserError(f"--digits sklearn: scikit-learn is not installed; {way}") from error
    flat, _ = bundled(return_X_y=True)
    return np.round(np.asarray(flat).reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)


def _mnist(folder: Path, name: str) -> Array | None:
    """The pictures of one of MNIST's files, (N, 28, 28); None where it is not in the folder."""
    places = (place / f"{name}{end}" for place in (folder, folder / "MNIST" / "raw") for end in ("", ".gz"))
    path = next((path for path in places if path.exists()), None)
    if path is None:
        return None
    check_file(path, MAX_BYTES)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            # the IDX format: big-endian 2051, count, height, width, then the pixels
            magic, count, *sides = np.frombuffer(file.read(16), ">i4", 4).tolist()
            content = file.read(MAX_BYTES)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path}: is damaged, or no file of MNIST: {error}") from error
    if (magic, sides) != (2051, [SIDE, SIDE]) or len(content) != count * SIDE**2:
        raise UserError(f"{path}: is damaged, or no file of MNIST's 28x28 pictures")
    return np.frombuffer(bytearray(content), np.uint8).reshape(count, SIDE, SIDE)
