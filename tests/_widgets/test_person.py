"""A person labels a real clip with mouse and keys, is killed, and finds everything again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
N_POINTS = 26


@pytest.mark.gui
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_person_labels_dies_and_recovers(real_data: Path, tmp_path: Path) -> None:
    clip = real_data / "flies_clip"
    script = ROOT / "scripts" / "scripted_person.py"
    done = subprocess.run(
        [sys.executable, script, clip / "clip.mp4", clip / "labels.slp", tmp_path],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["skeleton"]
    counted = report.pop("counted").values()
    # Frame 0 lacks a point, which costs a key in place of a click; a key begins and one ends.
    assert [one["clicks"] for one in counted] == [N_POINTS - 1, N_POINTS, N_POINTS]
    assert [one["keys"] for one in counted] == [3, 2, 2]
    assert report == {
        "dragged": [6, -5],
        "occluded": 1,
        "pasted": 1,
        "undone": 0,
        "redone": 1,
        "saved": True,
        "dirty": True,
        "skeleton": True,
        "recovered": True,
        "dirty_again": True,
        "instances": 7,
    }
    assert (tmp_path / "flies.slp").exists()
    pictures = [*tmp_path.glob("*.png"), *(tmp_path / "again").glob("*.png")]
    assert len(pictures) == 16
