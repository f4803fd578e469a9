"""Looking into models of SLEAP: the maps lie where the colours are that they are made of."""

import json

import numpy as np
import pytest
from sleap_models import CLASSES, NODES, draw_frame, write_model

from napari_animalpose.config import PredictConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.io.video import open_video
from napari_animalpose.nn.inspection import Verdict
from napari_animalpose.nn.inspection_views import paf_vectors
from napari_animalpose.nn.peaks import local_peaks
from napari_animalpose.pipeline import load_predictor
from napari_animalpose.pipeline.inspection import inspect, open_inspector

ANIMALS = np.array([[[20, 30], [32, 30]], [[60, 22], [72, 26]]], float)
OURS = PredictConfig(precision="float32")
SETS = [
    ["single_instance"],
    ["multi_instance"],
    ["multi_class_bottomup"],
    ["centroid"],
    ["centroid", "centered_instance"],
    ["centroid", "multi_class_topdown"],
]


def write_models(folder, heads, **options):
    return [write_model(folder / head, head, **options) for head in heads]


def frame_of(heads):
    animals = ANIMALS[:1] if heads == ["single_instance"] else ANIMALS
    return draw_frame(animals, blue=(True, False)), animals


def peaks_of(stack):
    """Peaks of the maps in layer coordinates, (K, P, 2) as (x, y)."""
    maps = np.moveaxis(stack.values, 0, -1)[None].astype(np.float32)
    scale, translate = stack.grid.layer_transform()
    cells = local_peaks(maps, 0.5, 2)[0][0]
    return (cells[..., ::-1] * scale + translate)[..., ::-1]


@pytest.mark.parametrize("heads", SETS, ids="+".join)
def test_maps_peaks_and_instances(tmp_path, heads):
    frame, animals = frame_of(heads)
    predictor = load_predictor(write_models(tmp_path, heads), OURS)
    expected = predictor.predict(open_video(frame[None]))
    seen = predictor.inspect(frame)
    np.testing.assert_allclose(seen.instances.xy, expected.xy, atol=1e-3)
    np.testing.assert_array_equal(seen.instances.track, expected.track)
    np.testing.assert_allclose(seen.instances.score, expected.score, atol=1e-4)
    for stack in seen.maps:
        if stack.name == "classmaps":
            assert stack.channels == tuple(CLASSES)
            continue
        found = peaks_of(stack)
        nodes = (0,) if stack.name == "centroids" else (0, 1)
        assert stack.channels == (("centroid",) if stack.name == "centroids" else NODES)
        shown = animals if stack.crop < 0 else animals[nearest(seen.crops.centre[stack.crop])]
        for node in nodes:
            away = np.linalg.norm(shown[..., node, :].reshape(-1, 1, 2) - found[node], axis=-1)
            assert np.nanmin(away, axis=1).max() < 0.05
    used = (seen.peaks.instance >= 0) & (seen.peaks.node >= 0)
    np.testing.assert_allclose(
        seen.peaks.xy[used],
        seen.instances.xy[seen.peaks.instance[used], seen.peaks.node[used]],
        atol=1e-3,
    )
    assert used.sum() == np.isfinite(expected.xy[..., 0]).sum() > 0


def nearest(centre):
    return int(np.linalg.norm(ANIMALS[:, 0] - centre, axis=-1).argmin())


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_scaled_models_lie_where_their_training_put_them(tmp_path, scale):
    """Cell i of the maps is at i * stride / scale px of the frame."""
    (folder,) = write_models(tmp_path, ["single_instance"], scale=scale)
    seen = load_predictor(folder, OURS).inspect(draw_frame(ANIMALS[:1], sigma=6))
    (maps,) = seen.maps
    assert maps.grid == (2 / scale, 0.0, 0.0)
    found = peaks_of(maps)[:, 0]
    np.testing.assert_allclose(found, seen.instances.xy[0], atol=0.05)


def test_pairs_of_a_field_with_a_stride_of_its_own(tmp_path):
    """The field is (1, 0) everywhere: what lies to the right is joined."""
    frame, _ = frame_of(["multi_instance"])
    seen = load_predictor(write_models(tmp_path, ["multi_instance"]), OURS).inspect(frame)
    assert seen.fields.grid == (4.0, 0.0, 0.0)
    drawn = paf_vectors(seen, stride_cells=2)
    np.testing.assert_allclose(drawn.vectors[:, 1], np.tile([0.0, 8.0], (len(drawn.edge), 1)))
    pairs = seen.connections
    assert len(pairs) == 4
    away = seen.peaks.xy[pairs.destination] - seen.peaks.xy[pairs.source]
    length = np.linalg.norm(away, axis=-1)
    np.testing.assert_allclose(pairs.alignment, away[:, 0] / length, atol=1e-5)
    np.testing.assert_allclose(pairs.length_px, length, rtol=1e-5)
    np.testing.assert_allclose(pairs.penalty, np.minimum(24.0 / length - 1, 0), atol=1e-5)
    assert (pairs.verdict == Verdict.JOINED).sum() == 2
    backwards = away[:, 0] < 0
    assert (pairs.verdict[backwards] == Verdict.LOW_SCORE).all()


def test_frames_that_are_made_smaller_first(tmp_path):
    (folder,) = write_models(tmp_path, ["multi_instance"])
    path = folder / "training_config.json"
    values = json.loads(path.read_text())
    values["data"]["preprocessing"] |= {
        "resize_and_pad_to_target": True, "target_height": 40, "target_width": 48,
    }  # fmt: skip
    path.write_text(json.dumps(values))
    predictor = load_predictor(folder, OURS)
    frame = draw_frame(ANIMALS, sigma=6)
    seen = predictor.inspect(frame)
    expected = predictor.predict(open_video(frame[None]))
    np.testing.assert_allclose(seen.instances.xy, expected.xy, atol=1e-3)
    assert seen.maps[0].grid == (4.0, 0.0, 0.0)
    assert seen.fields.grid == (8.0, 0.0, 0.0)
    # 32 x 48 px are padded to 40 x 48, of which only the frame is shown.
    assert seen.maps[0].values.shape == (2, 16, 24)
    assert seen.fields.values.shape == (1, 8, 12, 2)
    found = seen.peaks.xy[seen.peaks.node == 0]
    np.testing.assert_allclose(found, peaks_of(seen.maps[0])[0], atol=0.01)
    away = seen.peaks.xy[seen.connections.destination] - seen.peaks.xy[seen.connections.source]
    np.testing.assert_allclose(seen.connections.length_px, np.linalg.norm(away, axis=-1), rtol=1e-4)


def test_a_centered_model_alone_is_told_where_to_look(tmp_path):
    frame, _ = frame_of(["centered_instance"])
    inspector = open_inspector(write_models(tmp_path, ["centered_instance"]), OURS)
    assert inspector.needs_labels
    skeleton = Skeleton(NODES, ((0, 1),))
    labels = Poses.from_arrays(skeleton, frame=[0, 1], xy=ANIMALS)
    video = open_video(np.stack([frame, frame, frame]))
    for number in (1, 0):
        seen = inspect(inspector, video, number, poses=labels)
        assert len(seen.crops) == len(seen.maps) == 1
        np.testing.assert_allclose(seen.crops.centre, ANIMALS[number, :1])
        np.testing.assert_allclose(seen.instances.xy, ANIMALS[number : number + 1], atol=0.05)
        np.testing.assert_allclose(peaks_of(seen.maps[0])[:, 0], ANIMALS[number], atol=0.05)
    for poses in (None, labels):
        with pytest.raises(DataError, match="say where the animals are"):
            inspect(inspector, video, 2, poses=poses)


def test_what_sleap_itself_answers_is_not_looked_into(tmp_path):
    (folder,) = write_models(tmp_path, ["single_instance"])
    predictor = load_predictor(folder, PredictConfig(sleap_exact=True))
    with pytest.raises(ConfigError, match="Turn sleap_exact off"):
        predictor.inspect(draw_frame(ANIMALS[:1]))
