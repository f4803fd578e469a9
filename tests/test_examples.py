"""Every example runs as it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_from_labels_to_poses_leaves_predictions_and_a_video(tmp_path: Path) -> None:
    script = EXAMPLES / "from_labels_to_poses.py"
    command = [sys.executable, str(script), "--out", str(tmp_path), "--minutes", "0.4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "median error" in done.stdout
    assert {"predictions.slp", "labelled.mp4", "run"} <= {path.name for path in tmp_path.iterdir()}
