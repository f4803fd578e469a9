"""`animalpose label`: what is said before a window opens, and how it is started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from napari_animalpose.cli import main, window


def replace_run(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    """Replace `subprocess.run` for the command alone: other modules start processes too."""
    monkeypatch.setattr(window, "subprocess", SimpleNamespace(run=run))


def test_a_file_that_is_not_there_is_said_before_the_window_opens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_run(monkeypatch, lambda *a, **k: pytest.fail("a window was started"))
    assert main(["label", "nowhere.slp"]) == 2
    assert "nowhere.slp" in capsys.readouterr().err


def test_the_window_gets_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        started.append(command)
        return subprocess.CompletedProcess(command, 0)

    replace_run(monkeypatch, run)
    video = tmp_path / "a.mp4"
    video.touch()
    assert main(["label", str(video)]) == 0
    assert started == [[sys.executable, "-m", window.MODULE, str(video)]]


def test_a_window_that_cannot_open_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_run(monkeypatch, lambda command, **options: subprocess.CompletedProcess(command, 134))
    assert main(["label"]) == 2
    assert "134" in capsys.readouterr().err


def test_without_napari_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "find_spec", lambda name: None)
    assert main(["label"]) == 2
    assert "[gui]" in capsys.readouterr().err
