"""All six head types of SLEAP on frames whose points are known."""

import json
import zipfile

import numpy as np
import pytest
from sleap_models import (
    BLUE,
    CLASSES,
    GREEN,
    RED,
    config_json,
    conv,
    draw_frame,
    every_second_pixel,
    model_json,
    weigh,
    write_h5,
    write_model,
)  # fmt: skip

from napari_animalpose.config import PredictConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import AnimalPoseError, ConfigError, DataError, ModelError
from napari_animalpose.io.video import open_video
from napari_animalpose.nn.inference import Predictor
from napari_animalpose.pipeline import load_predictor

# Even pixels are cells of the maps, so that the centre of 5 x 5 cells is the point.
FIRST, SECOND = [[20, 30], [32, 30]], [[60, 22], [72, 26]]
ANIMALS = np.array([FIRST, SECOND], float)
OURS = PredictConfig(precision="float32")
THEIRS = PredictConfig(sleap_exact=True)
MANY = ["multi_instance", "multi_class_bottomup"]


def video_of(*frames):
    return open_video(np.stack(frames))


@pytest.fixture(scope="module")
def two_animals():
    return video_of(draw_frame(ANIMALS, blue=(True, False)))


def in_order(poses):
    """Points (I, K, 2) from left to right."""
    return poses.xy[np.argsort(poses.xy[:, 0, 0])]


@pytest.mark.parametrize("config", [OURS, THEIRS])
def test_a_single_instance_is_where_it_is(tmp_path, config):
    model = load_predictor(write_model(tmp_path, "single_instance"), config)
    assert isinstance(model, Predictor)
    poses = model.predict(video_of(draw_frame(ANIMALS[:1])))
    assert poses.skeleton.nodes == ("A", "B")
    assert poses.skeleton.edges == ((0, 1),)
    np.testing.assert_allclose(poses.xy, ANIMALS[:1], atol=0.01)


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5])
def test_sleap_adds_half_a_pixel_where_it_has_resized_and_we_do_not(tmp_path, scale):
    """The dot at p is at (p + 0.5) s - 0.5 after the resize; a map says that s times p is."""
    folder = write_model(tmp_path, "single_instance", scale=scale)
    shown = ANIMALS[:1] + 0.5 - 0.5 / scale
    frame = video_of(draw_frame(ANIMALS[:1], sigma=6))
    ours = load_predictor(folder, OURS).predict(frame).xy
    theirs = load_predictor(folder, THEIRS).predict(frame).xy
    np.testing.assert_allclose(ours, shown, atol=0.12)
    coarse = load_predictor(folder, OURS.replace(refinement="integral")).predict(frame).xy
    np.testing.assert_allclose(theirs, coarse + 0.5, atol=1e-3)


@pytest.mark.parametrize("head", MANY)
@pytest.mark.parametrize("config", [OURS, THEIRS])
def test_many_instances_at_once(tmp_path, two_animals, head, config):
    poses = load_predictor(write_model(tmp_path, head), config).predict(two_animals)
    np.testing.assert_allclose(in_order(poses), ANIMALS, atol=0.01)
    best = load_predictor(tmp_path, config.replace(max_instances=1)).predict(two_animals)
    assert len(best) == 1


@pytest.mark.parametrize(("config", "shift"), [(OURS, 0.0), (THEIRS, -0.5)])
def test_two_models_find_animals_in_windows(tmp_path, two_animals, config, shift):
    """SLEAP takes windows to begin at centroid - side / 2, and cuts (side - 1) / 2."""
    folders = [
        write_model(tmp_path / "b", "centered_instance"), write_model(tmp_path / "a", "centroid"),
    ]  # fmt: skip
    for order in (folders, folders[::-1]):
        poses = load_predictor(order, config).predict(two_animals)
        np.testing.assert_allclose(in_order(poses), ANIMALS + shift, atol=0.03)
    best = load_predictor(folders, config.replace(max_instances=1)).predict(two_animals)
    assert len(best) == 1


@pytest.mark.parametrize("scale", [0.5, 0.75])
def test_windows_of_resized_frames_are_put_back(tmp_path, scale):
    """SLEAP is half a pixel of the resized frame off, and adds half a pixel of the frame."""
    folder = write_model(tmp_path, "centered_instance", scale=scale, crop=32)
    labels = Poses.from_arrays(Skeleton(("A", "B")), frame=[0], xy=ANIMALS[:1])
    frame = video_of(draw_frame(ANIMALS[:1], sigma=5))

    def find(config):
        model = load_predictor(folder, config)
        model.use_labels(labels)
        return model.predict(frame).xy

    np.testing.assert_allclose(find(OURS), ANIMALS[:1] + 0.5 - 0.5 / scale, atol=0.1)
    coarse = find(OURS.replace(refinement="integral"))
    np.testing.assert_allclose(find(THEIRS), coarse + 0.5 - 0.5 / scale, atol=0.02)


@pytest.mark.parametrize("config", [OURS, THEIRS])
def test_classes_become_tracks(tmp_path, two_animals, config):
    centroid = write_model(tmp_path / "a", "centroid")
    sets = {
        "topdown": [centroid, write_model(tmp_path / "b", "multi_class_topdown")],
        "bottomup": [write_model(tmp_path / "c", "multi_class_bottomup")],
    }
    for folders in sets.values():
        poses = load_predictor(folders, config).predict(two_animals)
        assert list(poses.track_names) == CLASSES
        by_class = poses.xy[np.argsort(poses.track)]
        assert sorted(poses.track.tolist()) == [0, 1]
        np.testing.assert_allclose(by_class, ANIMALS, atol=0.55)
        assert (poses.track_score > 0.9).all()


@pytest.mark.parametrize("config", [OURS, THEIRS])
def test_a_centroid_model_alone_finds_animals_of_one_point(tmp_path, two_animals, config):
    poses = load_predictor(write_model(tmp_path, "centroid"), config).predict(two_animals)
    assert poses.skeleton.nodes == ("A",)
    np.testing.assert_allclose(in_order(poses), ANIMALS[:, :1], atol=0.01)
    one = load_predictor(tmp_path, config.replace(max_instances=1)).predict(two_animals)
    assert len(one) == 1


@pytest.mark.parametrize(("config", "shift"), [(OURS, 0.0), (THEIRS, -0.5)])
def test_a_centered_model_alone_takes_the_anchors_of_labels(tmp_path, config, shift):
    model = load_predictor(write_model(tmp_path, "centered_instance"), config)
    frames = video_of(*[draw_frame(ANIMALS)] * 3)
    with pytest.raises(DataError, match="a centroid model beside"):
        model.predict(frames)
    with pytest.raises(DataError, match="a centroid model beside"):
        model.use_labels(Poses.empty(Skeleton(("A", "B"))))
    labelled = ANIMALS.copy()
    labelled[0, 1] = np.nan  # only the anchor is needed
    xy = np.stack([labelled[0], labelled[1], labelled[1]])
    labels = Poses.from_arrays(Skeleton(("A", "B")), frame=[0, 0, 2], xy=xy)
    model.use_labels(labels)
    poses = model.predict(frames)
    assert poses.frame.tolist() == [0, 0, 2]
    np.testing.assert_allclose(in_order(poses.select(poses.frame == 0)), ANIMALS + shift, atol=0.01)
    np.testing.assert_allclose(poses.xy[2], ANIMALS[1] + shift, atol=0.01)


@pytest.mark.parametrize("head", ["single_instance", "multi_instance"])
def test_learned_offsets_are_used_as_sleap_does_and_without_refinement(tmp_path, head):
    frame = video_of(draw_frame(ANIMALS[:1]))
    folder = write_model(tmp_path, head, offsets=True)
    for config, shift in ((OURS, 0), (THEIRS, 0.5), (OURS.replace(refinement="none"), 0.5)):
        poses = load_predictor(folder, config).predict(frame)
        np.testing.assert_allclose(poses.xy, ANIMALS[:1] + np.array([shift, 0]), atol=0.01)


def test_a_plateau_is_a_peak_for_us_and_none_for_sleap(tmp_path):
    frame = draw_frame(ANIMALS[:1])
    frame[30, 20:23, 0] = 255  # two cells side by side
    poses = load_predictor(write_model(tmp_path, "multi_instance"), OURS).predict(video_of(frame))
    assert np.isfinite(poses.xy).all()
    np.testing.assert_allclose(poses.xy[0, 0], [21, 30], atol=0.6)
    assert len(load_predictor(tmp_path, THEIRS).predict(video_of(frame))) == 0


@pytest.mark.parametrize("config", [OURS, THEIRS])
def test_frames_of_another_size_are_made_to_fit(tmp_path, config):
    """The target has half the width: everything is halved, and padded below."""
    folder = write_model(tmp_path, "single_instance")
    values = config_json("single_instance")
    size = {"resize_and_pad_to_target": True, "target_height": 64, "target_width": 48}
    values["data"]["preprocessing"] |= size
    (folder / "training_config.json").write_text(json.dumps(values))
    poses = load_predictor(folder, config).predict(video_of(draw_frame(ANIMALS[:1], sigma=6)))
    np.testing.assert_allclose(poses.xy, ANIMALS[:1] - 0.5, atol=0.6)


def test_gray_video_for_a_network_in_colour_and_frames_that_need_padding(tmp_path):
    gray = draw_frame(ANIMALS[:1], size=(63, 95))[..., :1]
    poses = load_predictor(write_model(tmp_path, "single_instance"), OURS).predict(video_of(gray))
    np.testing.assert_allclose(poses.xy, [[FIRST[0], FIRST[0]]], atol=0.01)


def test_an_encoder_that_is_a_model_in_the_model(tmp_path):
    """As SLEAP builds its pretrained encoders: one model with several outputs inside another."""
    folder = write_model(tmp_path, "single_instance")
    inner = model_json(
        [every_second_pixel("pool", "input"), conv("swap", "pool", 3)], ["pool", "swap"]
    )
    encoder = {
        "class_name": "Functional", "config": inner["config"], "name": "encoder",
        "inbound_nodes": [[["input", 0, 0, {}]]],
    }  # fmt: skip
    head = conv("SingleInstanceConfmapsHead", "encoder", 2)
    head["inbound_nodes"] = [[["encoder", 0, 1, {}]]]
    weights = {
        "encoder/swap": weigh(GREEN, RED, BLUE), "SingleInstanceConfmapsHead": weigh(RED, GREEN),
    }  # fmt: skip
    model = model_json([encoder, head], ["SingleInstanceConfmapsHead"])
    write_h5(folder / "best_model.h5", model, weights)
    poses = load_predictor(folder, OURS).predict(video_of(draw_frame(ANIMALS[:1])))
    np.testing.assert_allclose(poses.xy, ANIMALS[:1, ::-1], atol=0.01)


# ------------------------------------------------------------------------- what to load
def test_a_file_of_the_folder_or_a_zip_is_as_good_as_the_folder(tmp_path):
    folder = write_model(tmp_path / "m", "single_instance")
    frame = video_of(draw_frame(ANIMALS[:1]))
    expected = load_predictor(folder, OURS).predict(frame).xy
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in folder.iterdir():
            file.write(path, f"models/m/{path.name}")
    before = sorted(tmp_path.rglob("*"))
    for path in (folder / "best_model.h5", str(folder / "training_config.json"), archive):
        np.testing.assert_array_equal(load_predictor(path, OURS).predict(frame).xy, expected)
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked


def test_a_zip_of_two_models_is_both(tmp_path, two_animals):
    archive = tmp_path / "models.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for head in ("centroid", "centered_instance"):
            for path in write_model(tmp_path / head, head).iterdir():
                file.write(path, f"{head}/{path.name}")
    poses = load_predictor(archive, OURS).predict(two_animals)
    np.testing.assert_allclose(in_order(poses), ANIMALS, atol=0.03)


@pytest.mark.parametrize(
    ("heads", "says"),
    [
        (["centroid", "centroid"], "received centroid"),
        (["single_instance", "centroid"], "received single_instance"),
        (["centered_instance", "multi_class_topdown"], "one model of each kind"),
    ],
)
def test_models_that_do_not_go_together_are_refused(tmp_path, heads, says):
    folders = [write_model(tmp_path / str(i), head) for i, head in enumerate(heads)]
    with pytest.raises(ModelError, match=says):
        load_predictor(folders)


def test_models_of_different_skeletons_are_refused(tmp_path):
    centroid = write_model(tmp_path / "a", "centroid")
    values = config_json("centroid")
    node = values["data"]["labels"]["skeletons"][0]["links"][0]["target"]["py/state"]
    node["py/tuple"][0] = "tail"
    (centroid / "training_config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"one for A, tail .* and one for A, B"):
        load_predictor([centroid, write_model(tmp_path / "b", "centered_instance")])


def test_runs_and_models_of_sleap_do_not_mix(tmp_path, tiny_run):
    folder = write_model(tmp_path, "centroid")
    with pytest.raises(ConfigError, match="2 paths of which 1 are models of SLEAP"):
        load_predictor([folder, tiny_run.path])
    with pytest.raises(ConfigError, match="Leave out --sleap-exact"):
        load_predictor(tiny_run.path, PredictConfig(sleap_exact=True))
    for path in (tmp_path / "no.zip", tmp_path / "nothing"):
        with pytest.raises(AnimalPoseError, match=r"^Expected .*; received "):
            load_predictor(path)
