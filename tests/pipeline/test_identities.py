"""Learning names from labels: what is refused, what a run keeps, and what comes out of it."""

import json
import re

import numpy as np
import pytest

from napari_animalpose.cli import main
from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_writer import VideoWriter
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.pipeline import choose, evaluate, predict, train
from napari_animalpose.pipeline.training import split_frames
from napari_animalpose.sample import make_sample

ID_PIPELINES = [name for name in PIPELINES if PIPELINES.get(name).identifies]


def project_of(sample, every=2):
    poses = sample.poses.select(sample.poses.frame % every == 0)
    return Project(videos=(sample.video,), poses=poses)


def with_tracks(project, track, names=("fly 1", "fly 2")):
    """The same labels with other tracks."""
    poses = project.poses
    columns = {name: column.copy() for name, column in poses.columns.items()}
    columns["track"] = np.broadcast_to(np.asarray(track, np.int32), len(poses)).copy()
    return project.with_poses(Poses.from_arrays(poses.skeleton, **columns, track_names=names))


@pytest.fixture(scope="module")
def sample():
    return make_sample(n_frames=24, n_animals=2, size=(96, 96), seed=4)


@pytest.fixture(scope="module")
def labels(sample, tmp_path_factory):
    """A label file of twelve frames with two flies, its video beside it; read only."""
    folder = tmp_path_factory.mktemp("two")
    with VideoWriter(folder / "video.mp4", fps=25) as writer:
        for index in range(len(sample.video)):
            writer.write(sample.video[index])
    project = project_of(sample)
    video = LazyVideo(str(folder / "video.mp4"))
    write_labels(Project(videos=(video,), poses=project.poses), folder / "labels.slp")
    return folder / "labels.slp"


def tiny(tiny_overrides, pipeline):
    """The tiny network for a pipeline that may look at animals in windows."""
    overrides = [text for text in tiny_overrides if not text.startswith("train.window_px")]
    if PIPELINES.get(pipeline).heads[0] == "centroid":
        overrides += [
            "networks.centroid.crop_px=0", "networks.centered_instance_id.crop_px=32",
            "train.window_px=0",
        ]  # fmt: skip
    return [*overrides, "model.class_units=8"]


# ----------------------------------------------------------------------- what is refused
@pytest.mark.parametrize("pipeline", ID_PIPELINES)
@pytest.mark.parametrize(
    ("track", "names", "says"),
    [
        (-1, (), "received labels without tracks"),
        (0, ("fly 1", "fly 2"), "received the track 'fly 1' alone"),
        ([0, 1] * 12, ("fly", "fly"), "received several called 'fly'"),
    ],
)
def test_labels_that_do_not_say_which_animal_is_which(
    sample, tmp_path, pipeline, track, names, says
):
    project = with_tracks(project_of(sample), track, names)
    for attempt in (
        lambda: train(project, tmp_path / "run", pipeline=pipeline),
        lambda: choose(project, pipeline=pipeline),
    ):
        with pytest.raises(DataError, match=f"^Expected .*{re.escape(says)}"):
            attempt()
    assert not (tmp_path / "run").exists()


def test_one_track_twice_in_a_frame(sample, tmp_path):
    track = project_of(sample).poses.track.copy()
    track[3] = track[2]  # second frame
    project = with_tracks(project_of(sample), track)
    with pytest.raises(DataError, match=r"two instances of 'fly [12]' in frame 2 of video 0\. "):
        train(project, tmp_path / "run", pipeline="topdown-id")
    track[5] = track[4]
    with pytest.raises(DataError, match=r"in frame 2 of video 0 and 1 more places\."):
        choose(with_tracks(project_of(sample), track), pipeline="bottomup-id")


def test_names_that_the_network_was_not_made_for(sample, tmp_path):
    config = choose(project_of(sample), pipeline="bottomup-id").config
    other = with_tracks(project_of(sample), [0, 1] * 12, ("Ann", "Bob"))
    with pytest.raises(DataError, match=r"classes fly 1, fly 2 among the tracks.*Ann, Bob"):
        train(other, tmp_path / "run", config=config)
    with pytest.raises(DataError, match=r"classes \(none\)"):
        train(
            project_of(sample), tmp_path / "run",
            pipeline="bottomup-id", overrides=["model.classes=[]"],
        )  # fmt: skip
    with pytest.raises(ConfigError, match="Expected no classes for the pipeline bottomup"):
        train(
            project_of(sample), tmp_path / "run",
            pipeline="bottomup", overrides=['model.classes=["a", "b"]'],
        )  # fmt: skip


def test_an_animal_in_held_out_frames_only(sample, tmp_path):
    project = project_of(sample)
    frames = sorted(set(project.poses.frame.tolist()))
    held_out = split_frames([(0, f) for f in frames], 0.25, 0.0, 5)["validation"]
    rare = (project.poses.track == 1) & (project.poses.frame != held_out[0][1])
    project = with_tracks(project, np.where(rare, -1, project.poses.track))
    options = {"pipeline": "bottomup-id", "overrides": ["train.validation_fraction=0.25"]}
    with pytest.raises(DataError, match=r"Expected frames to learn each.* fly 2 in held-out"):
        train(project, tmp_path / "run", seed=5, **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("classes", "says"),
    [(("a", "a"), "a different name"), (("a", ""), "a different name"), ("ab", "type tuple")],
)
def test_classes_of_a_configuration(classes, says):
    with pytest.raises(ConfigError, match=says):
        ModelConfig.from_dict({"classes": classes})
    read_back = ModelConfig.from_dict(json.loads(json.dumps({"classes": ["a", "b"]})))
    assert read_back.classes == ("a", "b")
    assert RunConfig(networks={"x": ModelConfig(), "y": read_back}).classes == ("a", "b")
    assert RunConfig().classes == ()


# ---------------------------------------------------------------------- what is configured
@pytest.mark.parametrize("pipeline", ID_PIPELINES)
def test_the_configuration_names_the_tracks_and_says_so(sample, pipeline):
    choice = choose(project_of(sample), pipeline=pipeline)
    assert choice.config.classes == ("fly 1", "fly 2")
    assert tuple(choice.config.networks) == PIPELINES.get(pipeline).heads
    told = " ".join(choice.reasons)
    assert "Identities are the 2 tracks of the labels: fly 1, fly 2." in told
    assert "pieces of the track" not in told
    plain = choose(project_of(sample), pipeline=pipeline.removesuffix("-id")).config
    assert plain.classes == ()
    assert choice.config.augment.scale_max < plain.augment.scale_max


def test_more_names_than_animals_together_may_be_pieces(sample):
    project = project_of(sample)
    late = project.poses.frame > 10
    pieces = with_tracks(project, project.poses.track + 2 * late, ("a", "b", "c", "d"))
    told = " ".join(choose(pieces, pipeline="topdown-id").reasons)
    assert "No frame has more than 2 of them together" in told


def test_auto_never_chooses_names(sample):
    assert not choose(project_of(sample)).config.pipeline.endswith("-id")


# ------------------------------------------------------------------------ from end to end
def check_run(labels, tmp_path, tiny_overrides, pipeline):
    run = train(
        labels, tmp_path / "run", pipeline=pipeline, overrides=tiny(tiny_overrides, pipeline)
    )
    folder = RunFolder(run.path)
    assert folder.read_config() == run.config
    assert folder.read_config().classes == ("fly 1", "fly 2")
    assert "val_class_accuracy" in folder.read_log()
    assert {"class_accuracy", "class_precision"} <= set(run.metrics["validation"])
    kept = read_labels(run.path / "labels.slp").poses
    assert kept.track_names == ("fly 1", "fly 2")
    project = predict(labels, run.path, frames="0-9")
    assert project.poses.track_names == ("fly 1", "fly 2")
    return run


@pytest.mark.slow
def test_a_run_folder_keeps_the_names(labels, tmp_path, tiny_overrides):
    check_run(labels, tmp_path, tiny_overrides, "bottomup-id")


@pytest.mark.slow
def test_a_run_of_two_networks_keeps_the_names_and_goes_on(labels, tmp_path, tiny_overrides):
    run = check_run(labels, tmp_path, tiny_overrides, "topdown-id")
    again = train(labels, tmp_path / "again", resume=run.path, overrides=["train.epochs=3"])
    assert again.config.classes == ("fly 1", "fly 2")


@pytest.mark.parametrize("pipeline", ID_PIPELINES)
def test_the_command_line_checks_tracks(sample, tmp_path, capfd, pipeline):
    project = with_tracks(project_of(sample), -1, ())
    with VideoWriter(tmp_path / "video.mp4", fps=25) as writer:
        writer.write(sample.video[0])
    video = LazyVideo(str(tmp_path / "video.mp4"))
    write_labels(Project(videos=(video,), poses=project.poses), tmp_path / "labels.slp")
    code = main(
        ["train", str(tmp_path / "labels.slp"), "-o", str(tmp_path / "r"), "--pipeline", pipeline,
         "--frames", "0"]
    )  # fmt: skip
    assert code == 2
    assert "received labels without tracks" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", ID_PIPELINES)
def test_flies_that_look_different_get_their_names(tmp_path, capfd, pipeline):
    """Two marked flies, from the command line: trained on half the frames, asked for the rest."""
    sample = make_sample(n_frames=80, n_animals=2, size=(160, 160), seed=2, markings=True)
    with VideoWriter(tmp_path / "video.mp4", fps=25) as writer:
        for index in range(80):
            writer.write(sample.video[index])
    video = LazyVideo(str(tmp_path / "video.mp4"))
    truth = Project(videos=(video,), poses=sample.poses)
    write_labels(truth, tmp_path / "truth.slp")
    arguments = [
        "train", tmp_path / "truth.slp", "-o", tmp_path / "run", "--frames", "0-78:2",
        "--pipeline", pipeline, "--preset", "fast",
        "--set", "train.precision=float32", "--set", "train.epochs=20",
    ]  # fmt: skip
    assert main([str(part) for part in arguments]) == 0
    predicted = tmp_path / "predicted.slp"
    arguments = ["predict", tmp_path / "video.mp4", "-m", tmp_path / "run", "-o", predicted]
    assert main([str(part) for part in [*arguments, "--frames", "1-79:2"]]) == 0
    poses = read_labels(predicted).poses
    assert set(poses.track_names) == {"fly 1", "fly 2"}
    assert np.isfinite(poses.track_score[poses.track >= 0]).all()
    capfd.readouterr()
    arguments = ["eval", predicted, tmp_path / "truth.slp", "--frames", "1-79:2", "--json"]
    assert main([str(part) for part in arguments]) == 0
    figures = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert figures["class_precision"] > 0.95  # by chance 0.5
    assert figures["class_accuracy"] > 0.9
    naming = evaluate(predicted, tmp_path / "truth.slp", frames="1-79:2").naming
    assert naming.n_named_truth == 80
    assert naming.precision == figures["class_precision"]
