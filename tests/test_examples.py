"""Every example runs as it stands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from napari_animalpose.pipeline import load_predictor
from napari_animalpose.pipeline.packaging import package

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_from_labels_to_poses_leaves_predictions_and_a_video(tmp_path: Path) -> None:
    script = EXAMPLES / "from_labels_to_poses.py"
    command = [sys.executable, str(script), "--out", str(tmp_path), "--minutes", "0.4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "median error" in done.stdout
    assert {"predictions.slp", "labelled.mp4", "run"} <= {path.name for path in tmp_path.iterdir()}


def read_cells(notebook: Path) -> list[tuple[list[str], str]]:
    """Return tags and text of the code cells of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [
        (cell["metadata"].get("tags", []), "".join(cell["source"]))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


@pytest.mark.slow
def test_train_elsewhere_brings_a_run_back(
    tmp_path: Path,
    tiny_labels: Path,
    tiny_overrides: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package(tiny_labels, tmp_path / "package.zip", overrides=tiny_overrides)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    cells = read_cells(EXAMPLES / "train_elsewhere.ipynb")
    assert [tags for tags, _ in cells].count(["parameters"]) == 1
    for tags, text in cells:
        exec(compile(text, "train_elsewhere.ipynb", "exec"), names)
        if "parameters" in tags:
            assert names["PACKAGE"] == "package.zip"
            names |= {"MAX_MINUTES": None, "OVERRIDES": ["train.epochs=1"]}
    said = capsys.readouterr().out
    assert "n_labelled_frames: 12" in said
    assert "validation {" in said
    assert "run.zip" in said
    predictor = load_predictor(tmp_path / "run.zip")
    assert predictor.skeleton.nodes == tuple(names["contents"]["nodes"])
    assert names["run"].config.train.epochs == 1


def test_the_notebook_is_empty_of_results() -> None:
    notebook = json.loads((EXAMPLES / "train_elsewhere.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
