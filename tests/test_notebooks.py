"""The notebooks run from top to bottom and show their pictures, in a short form that changes sizes alone."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CLIPS = "num_clips=20, num_val_clips=4, num_test_clips=4, num_frames=24"
WINDOWS = "num_val_windows=2, num_test_windows=4, hidden_size=4"
SHORTER = {
    "article": {
        'train("video"': f'train("video", {CLIPS}, epochs=2, media_every=0',
        'train("sine-next"': f'train("sine-next", {WINDOWS}, epochs=1',
        "num_frames=40": "num_frames=4",
        "range(75)": "range(31)",
    },
    "your_film": {"minutes=0.5": "minutes=0.01, size=24", "range(200)": "range(44)"},
}


def read(name: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module", params=SHORTER)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[NotebookNode]:
    """The code cells of a notebook that was run in an empty folder."""
    notebook = read(request.param)
    for long, short in SHORTER[request.param].items():
        cell, *more = [cell for cell in code_cells(notebook) if long in cell.source]
        assert not more
        cell.source = cell.source.replace(long, short)
    folder = tmp_path_factory.mktemp(request.param)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return code_cells(notebook)


def shown(cell: NotebookNode) -> dict[str, str]:
    """What a cell shows, by its MIME type."""
    return {kind: text for each in cell.outputs if "data" in each for kind, text in each.data.items()}


def on_screen(cell: NotebookNode) -> list[str]:
    """The lines that a cell leaves on stderr, where some are written over others."""
    said = "".join(each.text for each in cell.outputs if each.get("name") == "stderr")
    return [line.rpartition("\r")[2] for line in re.sub(r"\x1b\[[?\d;]*\w", "", said).split("\n")]


def test_every_picture_film_and_run_is_shown(executed: list[NotebookNode]) -> None:
    for cell in executed:
        if re.search(r"^(Image\(|figure, |plt\.figure)", cell.source, re.MULTILINE):
            assert shown(cell).keys() & {"image/png", "image/gif"}, cell.source
        elif "Video(" in cell.source:
            assert "data:video/mp4;base64," in shown(cell)["text/html"]
        elif cell.source in ("run", "made.run"):
            assert "<td>copy last</td>" in shown(cell)["text/html"]
            assert "data:image/gif;base64," in shown(cell)["text/html"]


def test_a_training_shows_its_progress_in_one_line(executed: list[NotebookNode]) -> None:
    trainings = [cell for cell in executed if "track=" in cell.source]
    assert trainings
    for cell in trainings:
        assert sum(line.startswith("epoch ") for line in on_screen(cell)) == 1, cell.source


def test_what_is_computed_by_hand_is_what_the_net_says(executed: list[NotebookNode]) -> None:
    said = "".join(each.get("text", "") for cell in executed for each in cell.outputs)
    by_hand = re.findall(r"h_2 of the first neuron = (\S+)", said)
    checks = [cell for cell in executed if cell.source.splitlines()[-1].startswith("torch.")]
    if any("nn.RNN" in cell.source for cell in executed):
        assert len(by_hand) == 2
        assert len(checks) == 2
    assert len(set(by_hand)) <= 1
    assert all(shown(cell)["text/plain"] == "True" for cell in checks)


@pytest.mark.parametrize("name", SHORTER)
def test_they_lie_in_git_without_outputs(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


def test_all_of_them_are_tested() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == SHORTER.keys()
