"""What all tests share: real recordings, hypothesis profiles, importable helpers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# `strategies` and `job_functions` are imported by tests, the latter by child processes too.
sys.path.insert(0, str(Path(__file__).parent))

# Journals of tests are not those of the person at the keyboard; child processes inherit this.
_journals = TemporaryDirectory(prefix="animalpose-journals-")
os.environ["ANIMALPOSE_JOURNALS"] = _journals.name

settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,  # shared machines stall; time is measured in benchmarks/
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_runtest_setup() -> None:
    """Start every test with the same random weights, whatever ran before it."""
    if "keras" in sys.modules:
        import keras

        keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real recordings; skip where the environment names none."""
    named = os.environ.get("ANIMALPOSE_REAL_DATA")
    if not named:
        pytest.skip("ANIMALPOSE_REAL_DATA names no folder of real recordings.")
    folder = Path(named).resolve()
    if not folder.is_dir():
        pytest.fail(f"Expected ANIMALPOSE_REAL_DATA to be a folder; received {named!r}.")
    return folder


# A network that learns next to nothing in next to no time: for what surrounds training.
TINY = (
    'model.backbone_options={"filters": 8, "down_blocks": 2, "convs_per_block": 1}',
    "model.input_scale=0.5",
    "model.output_stride=2",
    "model.sigma_px=3",
    "train.precision=float32",
    "train.window_px=0",
    "train.batch_size=2",
    "train.steps_per_epoch=3",
    "train.epochs=2",
    "train.validation_fraction=0.25",
)


@pytest.fixture(scope="session")
def tiny_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a label file of twelve frames with one fly, its video beside it; read only."""
    import numpy as np

    from napari_animalpose.data.project import Project
    from napari_animalpose.io.labels import write_labels
    from napari_animalpose.io.video import LazyVideo
    from napari_animalpose.io.video_writer import VideoWriter
    from napari_animalpose.sample import make_sample

    folder = tmp_path_factory.mktemp("tiny")
    sample = make_sample(n_frames=24, n_animals=1, size=(96, 128), seed=1)
    with VideoWriter(folder / "video.mp4", fps=25) as writer:
        for index in range(24):
            writer.write(sample.video[index])
    poses = sample.poses.select(np.isin(sample.poses.frame, range(0, 24, 2)))
    video = LazyVideo(str(folder / "video.mp4"))
    write_labels(Project(videos=(video,), poses=poses), folder / "labels.slp")
    return folder / "labels.slp"


@pytest.fixture(scope="session")
def tiny_run(tiny_labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what `train` returns for the tiny labels with the tiny network; read only."""
    from napari_animalpose.pipeline import train

    out = tmp_path_factory.mktemp("runs") / "run"
    return train(tiny_labels, out, overrides=TINY, seed=3)


@pytest.fixture(scope="session")
def tiny_overrides() -> tuple[str, ...]:
    """Return the configuration of the tiny network, as `train` takes it."""
    return TINY
