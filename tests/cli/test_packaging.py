"""The command `package`, and what other commands make of packages and zips of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_animalpose.cli import main
from napari_animalpose.config import RunConfig
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.pipeline.packaging import read_packaged_config, zip_run


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, Any]:
    """Return the exit code and the figures of a command, or what it says."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, json.loads(captured.out.splitlines()[-1]) if captured.out else captured.err


def settings(tiny_overrides: tuple[str, ...]) -> list[str]:
    return [word for text in tiny_overrides for word in ("--set", text)]


def test_pack_train_zip_predict(
    tiny_labels: Path,
    tiny_overrides: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    packed, folder, out = tmp_path / "p.zip", tmp_path / "run", tmp_path / "out.slp"
    code, figures = run(
        capsys, "package", tiny_labels, "-o", packed, "--json", *settings(tiny_overrides)
    )
    assert code == 0
    assert (figures["n_images"], figures["file"]) == (12, str(packed))
    assert figures["n_bytes"] == packed.stat().st_size
    config = read_packaged_config(packed)
    assert config is not None
    assert RunConfig.from_dict(figures["config"]) == config
    code, _ = run(capsys, "train", packed, "-o", folder, "--set", "train.epochs=1", "--json")
    assert code == 0
    trained = RunFolder(folder).read_config()
    assert trained == config.replace(train=config.train.replace(epochs=1))
    video = tiny_labels.with_name("video.mp4")
    zipped = zip_run(folder)
    code, figures = run(
        capsys, "predict", video, "-m", zipped, "-o", out, "--frames", "0-3", "--json"
    )
    assert code == 0
    code, again = run(
        capsys, "predict", video, "-m", folder, "-o", tmp_path / "b.slp", "--frames", "0-3",
        "--json",
    )  # fmt: skip
    assert figures["n_instances"] == again["n_instances"]
    np.testing.assert_array_equal(
        read_labels(out).poses.xy, read_labels(tmp_path / "b.slp").poses.xy
    )


@pytest.mark.parametrize(("name", "extra"), [("x.pkg.slp", ()), ("y.slp", ("--format", "pkg"))])
def test_export_takes_the_images_along(
    tiny_labels: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    extra: tuple[str, ...],
) -> None:
    code, figures = run(capsys, "export", tiny_labels, "-o", tmp_path / name, *extra, "--json")
    assert (code, figures["files"]) == (0, [str(tmp_path / name)])
    video, original = read_labels(tmp_path / name).videos[0], read_labels(tiny_labels).videos[0]
    np.testing.assert_array_equal(video[22], original[22])


def test_bad_input_is_one_sentence(
    tiny_labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (("package", tiny_labels, "-o", tmp_path / "p.slp"), "ends with .zip"),
        (("package", tmp_path / "none.slp", "-o", tmp_path / "p.zip"), "does not exist"),
        (
            ("package", tiny_labels, "-o", tmp_path / "p.zip", "--frames", "1"),
            "Expected labelled points to learn from in the frames 1",
        ),
        (("train", tmp_path / "none.zip", "-o", tmp_path / "run"), "does not exist"),
    ):
        code, said = run(capsys, *arguments)
        assert code == 2
        assert message in said
        assert len(said.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
