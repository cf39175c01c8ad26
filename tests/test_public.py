"""What `import framegen` promises."""
# pyright: reportUnnecessaryTypeIgnoreComment=error

import subprocess
import sys
from pathlib import Path
from typing import assert_type

import pytest

import framegen


def test_importing_the_package_brings_no_heavy_module() -> None:
    heavy = "{'torch', 'numpy', 'pydantic', 'tyro', 'wandb', 'matplotlib'}"
    program = f"import sys, framegen; dir(framegen); sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)


def test_the_configs_and_errors_bring_no_torch() -> None:
    names = (
        "framegen.Config, framegen.EXPERIMENTS, framegen.Recurrent, framegen.UserError, framegen.__version__"
    )
    program = f"import sys, framegen; {names}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)


@pytest.mark.parametrize("name", framegen.__all__)
def test_each_public_name_is_there_and_is_no_module(name: str) -> None:
    value = getattr(framegen, name)
    assert not isinstance(value, type(sys))
    assert name in dir(framegen)


def test_a_name_is_what_its_module_has_whichever_was_imported_first() -> None:
    program = (
        "import framegen.commands.training as training, framegen.runs.run as run, framegen.evaluation, "
        "framegen;"
        "assert framegen.train is training.train and framegen.load is run.load;"
        "assert callable(framegen.evaluate) and callable(framegen.draw) and callable(framegen.generate)"
    )
    subprocess.run([sys.executable, "-c", program], timeout=120, check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="framegen attribute trian"):
        framegen.trian  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(framegen.__file__).parent / "py.typed").exists()


def typed(run: framegen.Run, epoch: framegen.Epoch) -> None:
    """Never called: read by the type checker, which must see the types behind the lazy names."""
    assert_type(run.results, framegen.Results)
    assert_type(run.model, framegen.Predictor)
    assert_type(framegen.load("runs/video-1"), framegen.Run)
    assert_type(framegen.train("video"), framegen.Run)
    assert_type(epoch.number, int)
    assert_type(framegen.EXPERIMENTS["video"], framegen.Config)
    assert_type(framegen.__version__, str)
    framegen.train("video", hidden_size=8, speeds=[1, 2])
    framegen.train("video", hiden_size=8)  # pyright: ignore[reportCallIssue]
    framegen.train("video", cell="gruu")  # pyright: ignore[reportArgumentType]
    framegen.search("video", {"epochs": [1, 2]}, hiden_size=8)  # pyright: ignore[reportCallIssue]
    framegen.train_on("a.mp4", crop=4, hiden_size=8)  # pyright: ignore[reportCallIssue]
    framegen.continue_films("a.mp4", fps=5.0, epoch=8)  # pyright: ignore[reportCallIssue]
