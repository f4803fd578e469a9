"""The command line: help, figures as JSON, and one sentence for everything that is wrong."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_animalpose.cli import main
from napari_animalpose.cli.commands import COMMANDS
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.pipeline.demo import N_HELD_OUT


def run(capfd, *arguments):
    """Run a command in this process: exit code, last line of stdout, stderr."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as error:  # what argparse refuses
        code = error.code
    out, err = capfd.readouterr()
    return code, out.strip().splitlines()[-1:], err


def check_refused(capfd, *arguments, says="Expected"):
    """The command ends with code 2 and exactly one sentence."""
    code, out, err = run(capfd, *arguments)
    assert code == 2, err
    assert out == []
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("animalpose: Expected"), err
    assert "Traceback" not in err
    assert re.search(says, lines[0]), err


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def training(tiny_overrides):
    return [part for text in tiny_overrides for part in ("--set", text)]


# -------------------------------------------------------------------------------- help
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"Example: animalpose {name}" in text
    assert "--json" in text


def test_without_a_command_there_is_help_and_the_version_is_a_version(capsys):
    assert main([]) == 0
    assert "animalpose demo" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\S*", capsys.readouterr().out.strip())


def test_the_module_is_the_program():
    command = [sys.executable, "-m", "napari_animalpose", "eval", "no.slp", "no.slp"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("animalpose: Expected")


# -------------------------------------------------------------------------------- JSON
def test_figures_of_every_step(tiny_labels, tiny_run, tmp_path, capfd):
    figures = []

    def ask(*arguments):
        code, out, err = run(capfd, *arguments, "--json")
        assert code == 0, err
        figures.append(json.loads(out[0]))
        return figures[-1]

    config = ask("config", tiny_labels, "-o", tmp_path / "config.json", "--preset", "fast")
    assert config["config"]["pipeline"] == "single"
    assert config["receptive_field_px"] > 0
    assert json.loads((tmp_path / "config.json").read_text()) == config["config"]
    poses = tmp_path / "poses.slp"
    predicted = ask(
        "predict", tiny_labels, "-m", tiny_run.path, "-o", poses, "--peak-threshold", 0,
        "--set", "min_mean_confidence=0",
        "--frames", "0-9",
    )  # fmt: skip
    assert (predicted["n_frames"], predicted["files"]) == (10, [str(poses)])
    compared = ask("eval", poses, tiny_labels, "--pictures", tmp_path / "pictures")
    assert compared["n_frames"] == 5
    assert {"mAP", "mAR", "mAP_with_false_positives", "mOKS", "pck5", "mpck", "error_p50",
            "error_p90"} <= set(compared)  # fmt: skip
    assert (tmp_path / "pictures" / "pck.png").exists()
    exported = ask("export", poses, "-o", tmp_path / "poses.analysis.h5")
    assert exported["n_instances"] == 10
    ask("render", poses, "-o", tmp_path / "video.mp4", "--frames", "0-3")
    assert ask("info")["kind"] in ("cpu", "gpu")
    for each in figures:
        json.dumps(each, allow_nan=False)  # strict JSON has no NaN


def test_training_from_the_command_line(tiny_labels, tiny_overrides, tmp_path, capfd):
    code, out, err = run(
        capfd, "train", tiny_labels, "-o", tmp_path / "run", "--seed", 5, "--json",
        *training(tiny_overrides),
    )  # fmt: skip
    assert code == 0, err
    figures = json.loads(out[0])
    assert figures["run"] == str(tmp_path / "run")
    assert figures["validation"]["n_frames"] == 3
    assert RunFolder(tmp_path / "run").read_config().train.seed == 5


# --------------------------------------------------------------------------- bad input
@pytest.fixture
def bad_labels(tiny_labels, tmp_path):
    """Label files that cannot be learned from, by what is wrong with them."""
    folder = tmp_path / "bad"
    folder.mkdir()
    good = read_labels(tiny_labels)
    poses = good.poses

    def write(name, project):
        write_labels(project, folder / f"{name}.slp")

    write("empty", good.with_poses(Poses.empty(good.skeleton)))
    write("nan", good.with_poses(poses.replace(xy=np.full_like(poses.xy, np.nan))))
    write("one frame", good.with_poses(poses.select(poses.frame == 4)))
    gone = LazyVideo(str(folder / "gone.mp4"), shape=(24, 96, 128, 1), grayscale=True)
    write("missing video", Project(videos=(gone,), poses=poses))
    (folder / "void.mp4").write_bytes(b"")
    void = LazyVideo(str(folder / "void.mp4"), shape=(24, 96, 128, 1), grayscale=True)
    write("void video", Project(videos=(void,), poses=poses))
    content = tiny_labels.read_bytes()
    (folder / "half.slp").write_bytes(content[: len(content) // 2])
    return folder


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", "labelled points"),
        ("nan", "labelled points"),
        ("one frame", "at least 2 labelled frames"),
        ("missing video", "no such file.*--video-dir"),
        ("void video", "empty file"),
        ("half", "half.slp"),
        ("not there", "does not exist"),
    ],
)
def test_labels_that_cannot_be_learned_from(bad_labels, name, says, tmp_path, capfd):
    before = tree(tmp_path)
    for command in ("train", "config"):
        if (name, command) == ("one frame", "config"):
            continue  # enough to choose a network
        out = tmp_path / command
        check_refused(capfd, command, bad_labels / f"{name}.slp", "-o", out, says=says)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "train.bogus=1"], "bogus"),
        (["--set", "bogus"], "section.key=value"),
        (["--set", "train.batch_size=0"], "batch_size"),
        (["--set", "model.backbone_options.bogus=1"], "bogus"),
        (["--set", "pipeline=bogus"], "known pipeline"),
        (["--frames", "1-2-3"], "frames like"),
        (["--frames", "24"], "from 0 to 23"),
        (["--frames", "1"], "labelled points"),
        (["--preset", "bogus"], "preset"),
        (["--pipeline", "bogus"], "pipeline"),
        (["--seed", "many"], "seed"),
        (["--seed", "-1"], "seed"),
        (["--seed", str(2**40)], "seed"),
        (["--max-minutes", "-1"], "max_minutes"),
        (["--max-minutes", "nan"], "max_minutes"),
        (["--bogus"], "bogus"),
        (["--config", "no.json"], "configuration in JSON"),
        (["--resume", "no"], "run folder"),
    ],
)
def test_options_that_mean_nothing(tiny_labels, options, says, tmp_path, capfd):
    check_refused(capfd, "train", tiny_labels, "-o", tmp_path / "run", *options, says=says)
    assert tree(tmp_path) == []


@pytest.mark.parametrize("text", ["", "[1, 2]", "5", '{"bogus": 1}', '{"networks": {}}'])
def test_configuration_files_that_are_none(tiny_labels, text, tmp_path, capfd):
    (tmp_path / "config.json").write_text(text)
    check_refused(
        capfd, "train", tiny_labels, "-o", tmp_path / "run", "--config", tmp_path / "config.json"
    )
    assert tree(tmp_path) == ["config.json"]


def test_outputs_that_cannot_be_written(tiny_labels, tiny_run, tmp_path, capfd):
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    for path in (tmp_path, tmp_path / "file", tmp_path / "file" / "below"):
        check_refused(capfd, "train", tiny_labels, "-o", path)
        check_refused(capfd, "demo", "-o", path)
    for path in (tmp_path / "file" / "x.slp", tmp_path / "no" / "x.slp", tmp_path / "x.bogus"):
        check_refused(capfd, "predict", tiny_labels, "-m", tiny_run.path, "-o", path)
        check_refused(capfd, "export", tiny_labels, "-o", path)
    check_refused(capfd, "config", tiny_labels, "-o", tmp_path / "file" / "config.json")
    check_refused(
        capfd, "eval", tiny_labels, tiny_labels, "--pictures", tmp_path / "file" / "below"
    )
    assert tree(tmp_path) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_models_and_sources_that_cannot_predict(tiny_labels, tiny_run, tmp_path, capfd):
    out = ("-o", tmp_path / "x.slp")
    check_refused(capfd, "predict", tiny_labels, "-m", tmp_path, *out, says="run folder")
    check_refused(capfd, "predict", tiny_labels, "-m", tiny_labels, *out, says="run folder")
    check_refused(capfd, "predict", tmp_path / "no.mp4", "-m", tiny_run.path, *out, says="exist")
    check_refused(
        capfd, "predict", tiny_labels, "-m", tiny_run.path, *out, "--batch-size", -1,
        says="batch_size",
    )  # fmt: skip
    check_refused(
        capfd, "predict", tiny_labels, "-m", tiny_run.path, *out, "--frames", "x", says="frames"
    )
    assert tree(tmp_path) == []


def test_several_label_files_are_predicted_as_one_with_their_poses(tmp_path, capfd, monkeypatch):
    given = {"a": (("head", "tail"), 2), "b": (("tail", "paw"), 3)}
    for name, (nodes, n_frames) in given.items():
        video = LazyVideo(f"{name}.mp4", shape=(9, 8, 8, 1), fps=1.0)
        xy = np.arange(n_frames * 4).reshape(n_frames, 2, 2)
        poses = Poses.from_arrays(Skeleton(nodes), frame=np.arange(n_frames), xy=xy)
        write_labels(Project((video,), poses), tmp_path / f"{name}.slp")
    asked = []
    monkeypatch.setattr(
        "napari_animalpose.pipeline.predict",
        lambda project, *_, **__: asked.append(project) or project,
    )
    sources = [tmp_path / "a.slp", tmp_path / "b.slp"]
    code, _, err = run(capfd, "predict", *sources, "-m", "run", "-o", tmp_path / "out.slp")
    assert code == 0, err
    [project] = asked
    assert [video.name for video in project.videos] == ["a.mp4", "b.mp4"]
    assert project.skeleton.nodes == ("head", "tail", "paw")
    assert project.poses.video.tolist() == [0, 0, 1, 1, 1]
    assert project.poses.frame.tolist() == [0, 1, 0, 1, 2]
    nan = np.nan
    np.testing.assert_array_equal(project.poses.xy[1], [[4, 5], [6, 7], [nan, nan]])
    np.testing.assert_array_equal(project.poses.xy[4], [[nan, nan], [8, 9], [10, 11]])


def test_skeletons_that_do_not_fit(tiny_labels, tiny_run, tmp_path, capfd):
    good = read_labels(tiny_labels)
    other = Poses.from_arrays(
        Skeleton(("a", "b")), frame=good.poses.frame, xy=good.poses.xy[:, :2], origin=1
    )
    write_labels(good.with_poses(other), tmp_path / "other.slp")
    check_refused(capfd, "eval", tmp_path / "other.slp", tiny_labels)
    check_refused(
        capfd, "train", tmp_path / "other.slp", "-o", tmp_path / "run",
        "--resume", tiny_run.path, says="with the nodes",
    )  # fmt: skip
    assert tree(tmp_path) == ["other.slp"]


# ----------------------------------------------------------------------------- full disk
def no_space(*args, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_at_the_start_leaves_nothing(tiny_labels, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("napari_animalpose.io.atomic.os.fsync", no_space)
    check_refused(capfd, "train", tiny_labels, "-o", tmp_path / "run", says="full disk")
    check_refused(capfd, "export", tiny_labels, "-o", tmp_path / "x.slp", says="full disk")
    assert tree(tmp_path) == []


@pytest.mark.parametrize("where", ["log.csv", "weights", "tensorboard"])
def test_a_disk_that_fills_up_while_training_keeps_the_best_weights(
    where, tiny_labels, tiny_overrides, tmp_path, capfd, monkeypatch
):
    import tensorflow as tf

    from napari_animalpose.io import runs
    from napari_animalpose.nn.training import Trainer

    def full_for_tensorflow(*args, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    broken = {
        "log.csv": (runs.csv, "writer", no_space),
        "weights": (runs, "_save_arrays", no_space),
        "tensorboard": (tf.summary, "scalar", full_for_tensorflow),
    }
    second = []  # the disk is full from the second validation on

    def validate(self):
        if second:
            monkeypatch.setattr(*broken[where])
        second.append(True)
        return {"val_error_px": 10.0 - len(second)}  # always better, so always written

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "validate", validate)
        code, out, err = run(
            capfd, "train", tiny_labels, "-o", tmp_path / "run", *training(tiny_overrides)
        )
    monkeypatch.undo()
    assert len(second) == 2
    assert code == 2, err
    assert out == []
    said = [line for line in err.splitlines() if line.startswith("animalpose: ")]
    assert len(said) == 1
    assert re.match(r"animalpose: Expected .*(No space left|full disk)", said[0])
    assert "Traceback" not in err
    folder = RunFolder(tmp_path / "run")
    assert folder.read_config().pipeline == "single"
    assert (tmp_path / "run" / "single_instance" / "weights.npz").stat().st_size > 1000
    code, _, err = run(
        capfd, "predict", tiny_labels, "-m", folder.path, "-o", tmp_path / "x.slp", "--frames", "0"
    )
    assert code == 0, err


# -------------------------------------------------------------------------------- Ctrl-C
@pytest.mark.slow
def test_interrupting_keeps_the_best_so_far(tiny_labels, tiny_overrides, tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "napari_animalpose", "train", str(tiny_labels), "-o", str(out),
        "--json", *training(tiny_overrides), "--set", "train.epochs=100000",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        give_up = time.monotonic() + 120
        while not (out / "log.csv").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < give_up
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert json.loads(printed.splitlines()[-1])["run"] == str(out)
    assert (out / "single_instance" / "weights.npz").exists()
    assert json.loads((out / "metrics.json").read_text())["validation"]["n_frames"] == 3


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demonstration_leaves_all_that_it_promises(tmp_path, capfd):
    code, out, err = run(capfd, "demo", "-o", tmp_path / "demo", "--minutes", 1, "--json")
    assert code == 0, err
    figures = json.loads(out[0])
    assert figures["n_frames"] == N_HELD_OUT
    assert figures["error_p50"] < 10
    made = set(tree(tmp_path / "demo"))
    assert {
        "video.mp4", "labels.slp", "truth.slp", "predictions.slp", "labelled.mp4", "summary.html",
        "training.png", "error_circles.png", "pck.png", "run/single_instance/weights.npz",
        "run/metrics.json",
    } <= made  # fmt: skip
