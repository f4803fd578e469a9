"""One point: its key says all that matters, and measuring it is training and predicting."""

import dataclasses

import numpy as np
import pytest

from napari_animalpose.config import PredictConfig, override
from napari_animalpose.errors import CancelledError
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.jobs import StopRequest
from napari_animalpose.nn.metrics import evaluate
from napari_animalpose.pipeline import predict
from napari_animalpose.pipeline.benchmark.point import Point, describe_environment, measure_point
from napari_animalpose.pipeline.benchmark.sources import LabelSource
from napari_animalpose.pipeline.files import select_frames


@pytest.fixture
def point(tiny_labels, tiny_run):
    source = LabelSource(str(tiny_labels))
    train = tuple((0, frame) for frame in range(0, 16, 2))
    test = tuple((0, frame) for frame in range(16, 24, 2))
    content = source.describe(source.open(), train + test)
    return Point(
        source,
        content,
        train,
        test,
        tiny_run.config,
        PredictConfig(peak_threshold=0, min_mean_confidence=0),
    )


def test_the_key_changes_with_everything_that_matters(point):
    changed = [
        dataclasses.replace(point, content={"labels": "others"}),
        dataclasses.replace(point, train=point.train[:-1]),
        dataclasses.replace(point, test=point.test[:-1]),
        dataclasses.replace(point, config=override(point.config, ["train.seed=9"])),
        dataclasses.replace(point, config=override(point.config, ["train.max_minutes=1.5"])),
        dataclasses.replace(point, config=override(point.config, ["model.sigma_px=4"])),
        dataclasses.replace(point, predict=PredictConfig(peak_threshold=0.1)),
    ]
    keys = {each.key for each in (point, *changed)}
    assert len(keys) == len(changed) + 1


def test_the_key_is_the_same_for_the_same_labels_elsewhere(point):
    moved = dataclasses.replace(point, source=LabelSource("elsewhere.slp"))
    assert moved.key == point.key


def test_the_figures_are_those_of_the_run_on_the_test_frames(point, tmp_path):
    figures = measure_point(point, str(tmp_path / "run"))
    run = RunFolder(tmp_path / "run")
    learned = {tuple(key) for keys in run.read_split().values() for key in keys}
    assert learned == set(point.train)
    labels = read_labels(point.source.path)
    predicted = predict(labels, run.path, frames="16-22:2", config=point.predict)
    truth = select_frames(labels.poses, point.test)
    expected = evaluate(predicted.poses, truth, frames=np.array(point.test)).to_dict()
    assert figures["accuracy"] == expected
    assert figures["steps"] == {"single_instance": 6}
    weights = np.load(run.path / "single_instance" / "weights.npz")
    assert figures["n_parameters"] == sum(weights[name].size for name in weights.files)
    parts = figures["network_seconds_per_frame"], figures["grouping_seconds_per_frame"]
    assert min(parts) > 0
    assert figures["seconds_per_frame"] == pytest.approx(sum(parts))


@pytest.mark.parametrize("request_", [StopRequest.STOP_EARLY, StopRequest.CANCEL])
def test_half_a_training_is_no_point(point, request_, tmp_path):
    with pytest.raises(CancelledError):
        measure_point(point, str(tmp_path / "run"), should_stop=lambda: request_)


def test_the_environment_names_device_and_versions():
    found = describe_environment()
    assert set(found) == {"device", "napari-animalpose", "tensorflow", "keras"}
    assert "cores" in found["device"] or found["device"]
