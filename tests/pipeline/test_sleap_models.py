"""Models of SLEAP through the same doors as our own: `predict` and the command line."""

import json

import cv2
import numpy as np
import pytest
from sleap_models import draw_frame, write_model

from napari_animalpose.cli import main
from napari_animalpose.config import PredictConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError, ModelError
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_writer import VideoWriter
from napari_animalpose.nn.autoconfig import choose_config, measure_labels
from napari_animalpose.pipeline import predict, read
from napari_animalpose.pipeline.looked_at import predicted_frames
from napari_animalpose.pipeline.model_info import describe_model
from napari_animalpose.pipeline.start import choose_gentle, open_start

ANIMAL = np.array([[[20.0, 30.0], [32.0, 30.0]]])
SKELETON = Skeleton(("A", "B"), ((0, 1),))
OURS = PredictConfig(precision="float32")


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """A label file with one animal in two of six frames, its video beside it."""
    folder = tmp_path_factory.mktemp("labels")
    with VideoWriter(folder / "video.mp4", fps=25) as writer:
        for _ in range(6):
            writer.write(draw_frame(ANIMAL))
    poses = Poses.from_arrays(SKELETON, frame=[1, 4], xy=np.repeat(ANIMAL, 2, axis=0))
    video = LazyVideo(str(folder / "video.mp4"))
    write_labels(Project(videos=(video,), poses=poses), folder / "labels.slp")
    return folder / "labels.slp"


def test_a_centered_model_looks_at_the_labelled_frames_of_a_label_file(labels, tmp_path):
    folder = write_model(tmp_path, "centered_instance")
    found = predict(labels, folder, config=OURS)
    assert found.poses.frame.tolist() == [1, 4]
    assert predicted_frames(found)[0].tolist() == [1, 4]
    np.testing.assert_allclose(found.poses.xy, np.repeat(ANIMAL, 2, axis=0), atol=0.5)
    assert predict(labels, folder, frames="2-5", config=OURS).poses.frame.tolist() == [4]
    with pytest.raises(DataError, match="a centroid model beside"):
        predict(labels.with_name("video.mp4"), folder, config=OURS)


def test_what_is_chosen_without_reading_the_networks_is_what_is_trained(labels, tmp_path):
    folder = write_model(tmp_path, "centered_instance")
    measures = measure_labels(read(labels).poses, [(64, 96)], 3)
    shown, sentence = choose_gentle(measures, "fast", describe_model(folder).pipeline)
    trained, reasons = open_start(folder).configure(measures, "fast")
    assert shown.pipeline == trained.pipeline == "topdown"
    assert shown.train == trained.train.replace(window_px=shown.train.window_px)
    assert shown.augment == trained.augment
    assert reasons[-1] == sentence
    usual = choose_config(measures, "fast", "topdown").config.train.learning_rate
    assert shown.train.learning_rate == usual / 4


def test_a_split_is_of_a_run(labels, tmp_path):
    folder = write_model(tmp_path, "single_instance")
    with pytest.raises(ModelError, match=r"run folder with split\.json"):
        predict(labels, folder, split="train")


def test_the_command_line_takes_models_of_sleap(labels, tmp_path, capsys):
    folders = [
        str(write_model(tmp_path / head, head)) for head in ("centroid", "centered_instance")
    ]
    images = tmp_path / "images"  # without loss, as no video has colours
    images.mkdir()
    for number in range(3):
        cv2.imwrite(str(images / f"{number}.png"), draw_frame(ANIMAL)[..., ::-1])
    found = []
    for name, more in (("ours.slp", ["--set", "precision=float32"]), ("a.slp", ["--sleap-exact"])):
        out = str(tmp_path / name)
        command = [
            "predict",
            str(images),
            "-m",
            folders[0],
            "-m",
            folders[1],
            "-o",
            out,
            "--json",
            *more,
        ]
        assert main([*command, "--json"]) == 0
        figures = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (figures["n_instances"], figures["n_frames"]) == (3, 3)
        found.append(read(out).poses.xy)
    np.testing.assert_allclose(found[0] - found[1], 0.5, atol=0.05)


def test_the_command_line_says_in_one_sentence_what_does_not_go(labels, tmp_path, capsys):
    folder = str(write_model(tmp_path / "m", "centered_instance"))
    (tmp_path / "m" / "best_model.h5").write_bytes(b"no model")
    assert main(["predict", str(labels), "-m", folder, "-o", str(tmp_path / "a.slp")]) == 2
    assert "damaged file" in capsys.readouterr().err
    assert not (tmp_path / "a.slp").exists()
