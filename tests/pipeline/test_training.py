"""From labels to a run folder: what it holds, what is refused before anything is written."""

import csv
import json

import numpy as np
import pytest

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import (
    CancelledError,
    ConfigError,
    DataError,
    ModelError,
    OutputError,
    VideoError,
)
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.video import LazyVideo, open_video
from napari_animalpose.jobs import Log, Metric, StopRequest
from napari_animalpose.pipeline import choose, train
from napari_animalpose.pipeline.selection import split_frames, training_labels
from napari_animalpose.pipeline.training import _choose_judges


def test_a_run_folder_is_complete(tiny_run):
    names = {path.relative_to(tiny_run.path).as_posix() for path in tiny_run.path.rglob("*.*")}
    assert {
        "config.json", "initial_config.json", "skeleton.json", "split.json", "labels.slp",
        "versions.json", "log.csv", "metrics.json", "predictions.validation.slp",
        "single_instance/weights.npz", "single_instance/state.npz",
    } <= names  # fmt: skip
    assert not [name for name in names if name.startswith(".")]


def test_the_folder_says_what_was_asked_for_and_what_was_used(tiny_run, tiny_labels):
    initial = json.loads((tiny_run.path / "initial_config.json").read_text())
    assert (initial["pipeline"], initial["preset"], initial["seed"]) == ("auto", "balanced", 3)
    used = RunFolder(tiny_run.path).read_config()
    assert used == tiny_run.config
    assert used.pipeline == "single"
    assert used.train.seed == 3
    labels = read_labels(tiny_labels)
    assert RunFolder(tiny_run.path).read_skeleton() == labels.skeleton
    kept = read_labels(tiny_run.path / "labels.slp").poses
    np.testing.assert_allclose(kept.xy, labels.poses.xy, atol=1e-4)
    np.testing.assert_array_equal(kept.frame, labels.poses.frame)


def test_the_split_divides_the_labelled_frames(tiny_run):
    split = RunFolder(tiny_run.path).read_split()
    assert {name: len(pairs) for name, pairs in split.items()} == {
        "train": 9, "test": 0, "validation": 3,
    }  # fmt: skip
    frames = [frame for pairs in split.values() for _, frame in pairs]
    assert sorted(frames) == list(range(0, 24, 2))


def test_the_log_has_one_row_an_epoch(tiny_run):
    with (tiny_run.path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3", "6"]
    assert {row["network"] for row in rows} == {"single_instance"}
    assert all(0 < float(row["loss"]) < 100 for row in rows)
    assert float(rows[0]["seconds"]) < float(rows[1]["seconds"])


def test_metrics_are_of_the_validation_frames(tiny_run):
    metrics = json.loads((tiny_run.path / "metrics.json").read_text())
    assert metrics == tiny_run.metrics
    assert metrics["validation"]["n_frames"] == 3
    predicted = read_labels(tiny_run.path / "predictions.validation.slp")
    validation = RunFolder(tiny_run.path).read_split()["validation"]
    assert set(predicted.poses.frame.tolist()) <= {frame for _, frame in validation}


def test_tensorboard_gets_the_graph_scalars_and_a_picture(tiny_run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(tiny_run.path / "tensorboard" / "single_instance"))
    log.Reload()
    tags = log.Tags()
    assert tags["graph"]
    assert {"loss", "val_error_px", "learning_rate"} <= set(tags["tensors"])
    assert any("validation" in name for name in tags["tensors"])


def test_resuming_starts_where_the_old_run_ended(tiny_run, tiny_labels, tiny_overrides, tmp_path):
    """One step at a vanishing learning rate: the error stays what it was."""
    events = []
    train(
        tiny_labels, tmp_path / "more", resume=tiny_run.path, on_event=events.append,
        overrides=["train.epochs=1", "train.steps_per_epoch=1", "train.learning_rate=1e-9"],
    )  # fmt: skip
    start, metric = [event for event in events if isinstance(event, Metric)]
    assert start.values["val_error_px"] == pytest.approx(metric.values["val_error_px"], rel=0.02)
    log = RunFolder(tiny_run.path).read_log()
    best = min(float(value) for value in log["val_error_px"] if value)
    assert metric.values["val_error_px"] == pytest.approx(best, rel=0.02)
    more = RunFolder(tmp_path / "more")
    assert more.read_config().networks == tiny_run.config.networks
    assert more.read_split() == RunFolder(tiny_run.path).read_split()


def test_resuming_with_other_nodes_or_another_network_is_refused(tiny_run, tiny_labels, tmp_path):
    project = read_labels(tiny_labels)
    other = project.with_poses(
        Poses.from_arrays(
            Skeleton(("a", "b")), frame=project.poses.frame, xy=project.poses.xy[:, :2]
        )
    )
    with pytest.raises(DataError, match="with the nodes"):
        train(other, tmp_path / "a", resume=tiny_run.path)
    with pytest.raises(ModelError, match="another one"):
        train(
            tiny_labels, tmp_path / "b", resume=tiny_run.path,
            overrides=["model.backbone_options.filters=16"],
        )  # fmt: skip
    with pytest.raises(ModelError, match="run folder"):
        train(tiny_labels, tmp_path / "c", resume=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_cancelling_removes_the_folder(tiny_labels, tiny_overrides, tmp_path):
    with pytest.raises(CancelledError):
        train(
            tiny_labels, tmp_path / "run", overrides=tiny_overrides,
            should_stop=lambda: StopRequest.CANCEL,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def two_animals(tiny_labels):
    project = read_labels(tiny_labels)
    return project.with_poses(Poses.concat([project.poses, project.poses]))


def test_several_animals_are_too_many_for_the_pipeline_single(tiny_labels, tmp_path):
    with pytest.raises(DataError, match="up to 2"):
        train(two_animals(tiny_labels), tmp_path / "run", pipeline="single")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "overrides",
    [
        ["pipeline=bogus"],
        ["networks={}"],
        ['networks.extra={"backbone": "unet"}'],
        ["model.backbone=bogus"],
        ["model.backbone_options.bogus=1"],
        ["model.output_stride=1024"],
        ["train.bogus=1"],
    ],
)
def test_configurations_that_cannot_work_are_refused_before_anything(
    tiny_labels, overrides, tmp_path
):
    with pytest.raises(ConfigError, match=r"^Expected"):
        train(tiny_labels, tmp_path / "run", overrides=overrides)
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_for_another_pipeline_is_refused(tiny_labels, tmp_path):
    config = RunConfig(networks={"centroid": ModelConfig()})
    with pytest.raises(ConfigError, match="networks single_instance"):
        train(tiny_labels, tmp_path / "run", config=config)


def test_labels_that_cannot_be_learned_from(tiny_labels, tmp_path):
    project = read_labels(tiny_labels)
    nothing = project.with_poses(
        Poses.from_arrays(project.skeleton, frame=[0, 1], xy=np.full((2, 19, 2), np.nan))
    )
    with pytest.raises(DataError, match="labelled points"):
        train(nothing, tmp_path / "run")
    with pytest.raises(DataError, match="in the frames 1"):
        train(project, tmp_path / "run", frames="1")
    with pytest.raises(DataError, match="at least 2 labelled frames"):
        train(project, tmp_path / "run", frames="4")
    with pytest.raises(OutputError, match="holds files"):
        train(project, tiny_labels.parent)
    missing = project.with_videos([LazyVideo(str(tmp_path / "gone.mp4"))])
    with pytest.raises(VideoError, match="no such file"):
        train(missing, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_predictions_are_learned_from_where_there_is_nothing_else(tiny_labels):
    project = read_labels(tiny_labels)
    assert len(training_labels(project)) == 12
    assert training_labels(project, "0-5").frame.tolist() == [0, 2, 4]
    predicted = project.with_poses(
        Poses.from_arrays(project.skeleton, frame=[5], xy=project.poses.xy[:1], origin=1)
    )
    assert training_labels(predicted).frame.tolist() == [5]
    both = project.with_poses(Poses.concat([project.poses, predicted.poses]))
    assert 5 not in training_labels(both).frame


def test_choosing_says_why_and_trains_nothing(tiny_labels):
    choice = choose(tiny_labels)
    assert choice.config.pipeline == "single"
    assert choice.config.networks["single_instance"].channels == 1
    assert "12 labelled frames of 128 x 96 px with one animal" in choice.reasons[0]


def reasons_of(labels, tmp_path, **options):
    """What is said before a training, which then is cancelled."""
    events = []
    with pytest.raises(CancelledError):
        train(
            labels, tmp_path / "run", on_event=events.append,
            should_stop=lambda: StopRequest.CANCEL, **options,
        )  # fmt: skip
    return [event.message for event in events if isinstance(event, Log)]


def test_crops_follow_an_anchor_that_a_person_chose(tiny_labels, tmp_path):
    """Legs and wings of a fly are far from its head."""
    project = read_labels(tiny_labels)
    plain = choose(project, pipeline="topdown").config
    anchor = ["model.anchor=head"]
    said = " ".join(reasons_of(project, tmp_path, pipeline="topdown", overrides=anchor))
    assert "from head, the middle of a crop" in said
    assert "px of the frame instead of" in said
    for options in (
        {"pipeline": "topdown", "overrides": [*anchor, "model.crop_px=32"]},
        {"config": plain, "overrides": anchor},
    ):
        said = " ".join(reasons_of(project, tmp_path, **options))
        assert "--set networks.centered_instance.crop_px=" in said
    assert "the middle of a crop" not in " ".join(reasons_of(project, tmp_path, pipeline="topdown"))


def test_the_run_before_judges_by_two_labelled_frames_at_least():
    """Empty frames among those that it held out say nothing of how far points are off."""
    labelled = [(0, frame) for frame in range(10)]
    split = {"train": labelled[4:], "validation": [*labelled[:4], (1, 0), (1, 1)]}
    two, one = [(0, 0), (0, 1), (1, 0)], [(0, 0), (1, 0), (1, 1)]
    assert _choose_judges(split, {"validation": two}, labelled) == two
    assert _choose_judges(split, {"validation": one}, labelled) == split["validation"]
    assert _choose_judges(split, None, labelled) == split["validation"]


def test_every_frame_is_in_one_part():
    keys = [(0, i) for i in range(20)] + [(1, i) for i in range(20)]
    split = split_frames(keys, 0.2, 0.1, seed=1)
    assert {name: len(pairs) for name, pairs in split.items()} == {
        "train": 28, "test": 4, "validation": 8,
    }  # fmt: skip
    assert sorted(key for part in split.values() for key in part) == keys
    assert split == split_frames(keys, 0.2, 0.1, seed=1)
    assert split != split_frames(keys, 0.2, 0.1, seed=2)


def test_small_splits():
    keys = [(0, 0), (0, 5)]
    assert len(split_frames(keys, 0.01, 0, 0)["validation"]) == 1
    assert split_frames(keys[:1], 0, 0, 0)["train"] == keys[:1]
    with pytest.raises(DataError, match="at least 3 labelled frames"):
        split_frames(keys, 0.1, 0.1, 0)


def test_frames_of_several_sizes_and_videos_train_together(tiny_overrides, tmp_path):
    """An image list of two sizes beside a colour video, without validation."""
    rng = np.random.default_rng(0)
    videos = [
        open_video(rng.integers(0, 256, (4, *size)).astype(np.uint8))
        for size in ((40, 60, 3), (52, 48))
    ]
    poses = Poses.from_arrays(
        Skeleton(("a", "b")), video=[0, 0, 1, 1], frame=[0, 3, 1, 2],
        xy=rng.uniform(5, 35, (4, 2, 2)),
    )  # fmt: skip
    project = Project(videos=videos, poses=poses)
    run = train(
        project, tmp_path / "run",
        overrides=[*tiny_overrides, "train.validation_fraction=0", "train.epochs=1"],
    )  # fmt: skip
    assert run.config.networks["single_instance"].channels == 1  # what both have
    assert set(run.metrics) == {"seconds"}
    assert len(RunFolder(run.path).read_split()["train"]) == 4


def test_choose_guesses_the_size_of_frames_whose_video_is_missing(tiny_labels, tmp_path):
    project = read_labels(tiny_labels)
    elsewhere = tmp_path / "labels.slp"
    missing = LazyVideo(str(tmp_path / "gone.mp4"))
    write_labels(Project(videos=(missing,), poses=project.poses), elsewhere)
    with pytest.raises(VideoError, match="no such file"):
        choose(elsewhere)
    choice = choose(elsewhere, guess_missing=True)
    assert choice.reasons[0].startswith("The size of the frames is guessed")
    assert choice.config.pipeline == choose(project).config.pipeline
