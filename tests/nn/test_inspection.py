"""Looking into networks: with ideal maps everything is where it is drawn, and says why.

The stand-ins for networks draw the maps of known animals; those that look at windows read
off the pixels of a ramp where the window lies, as in `test_coordinates_detectors`.
"""

import itertools
import pickle
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates

from napari_animalpose.config import ModelConfig, PredictConfig, RunConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError
from napari_animalpose.io.video import open_video
from napari_animalpose.nn.geometry import scale_points
from napari_animalpose.nn.grouping import Candidates, Grouping
from napari_animalpose.nn.heads import CENTRED_HEADS, HEADS, PIPELINES
from napari_animalpose.nn.inference import Predictor
from napari_animalpose.nn.inspection import PLACE, CropVerdict, Fields, Grid, Verdict
from napari_animalpose.nn.inspection_views import (
    explain_connection,
    explain_crop,
    paf_vectors,
    project_maps,
)
from napari_animalpose.nn.models.heads.centroid import locate_anchors
from napari_animalpose.nn.models.inspectors.bottomup import _judge
from napari_animalpose.nn.peaks import local_peaks
from napari_animalpose.nn.targets import confidence_maps

SKELETON = Skeleton(("head", "middle", "tail"), ((1, 0), (1, 2)))
CLASSES = ("ann", "bob")
SIZE = (117, 322)  # height, width: multiples of nothing
BOUND_PX = 0.05
OURS = PredictConfig(precision="float32")
SHAPE = np.array([[-32.2, 7.3], [0.0, -6.1], [34.6, 8.4]])
TRUTH = np.stack([SHAPE + np.array([58.3, 52.6]), np.array([262.9, 61.2]) - SHAPE])
FAST = {(1.0, 4), (0.5, 2)}
CASES = [
    pytest.param(*pair, marks=() if pair in FAST else pytest.mark.slow)
    for pair in itertools.product((1.0, 0.5), (1, 2, 4, 8))
]


class Stage:
    """The animals (I, K, 2) of the moment, and whose they are."""

    def __init__(self):
        self.show(TRUTH)

    def show(self, truth):
        self.truth = truth
        self.classes = np.arange(len(truth)) % len(CLASSES)


def ramp(size=SIZE):
    """Colour 0 is twice x from the last hundred, colour 2 tells which, colour 1 is twice y."""
    frame = np.zeros((*size, 3), np.uint8)
    frame[..., 0] = 2 * (np.arange(size[1]) % 100)
    frame[..., 1] = 2 * np.arange(size[0])[:, None]
    frame[..., 2] = 60 * (np.arange(size[1]) // 100)
    return frame


def find_corner(window, scale):
    """Where pixel (0, 0) of a window of a ramp lies, (x, y) in px of the scaled frame."""
    hundreds = np.rint(window[..., 2] / 60)
    away = np.abs(window[..., :2] - [100, SIZE[0]]).max(axis=-1)  # from the ends of the ramps
    away[np.abs(window[..., 2] - 60 * hundreds) > 1e-3] = np.inf
    row, column = np.unravel_index(away.argmin(), away.shape)
    xy = window[row, column, :2] / 2 + [100 * hundreds[row, column], 0]
    return scale_points(xy, scale) - [column, row]


def stand_in(head, draw):
    """A network that runs `draw(images)` on arrays from inside a graph."""
    channels = {**head.n_outputs, **head.n_vectors}

    def network(x, training):
        assert not training
        drawn = tf.py_function(lambda x: draw(x.numpy()), [x], [tf.float32] * len(channels))
        for values, (name, count) in zip(drawn, channels.items(), strict=True):
            values.set_shape((None, count) if name in head.n_vectors else (None, None, None, count))
        return dict(zip(channels, drawn, strict=True))

    return network


def draw_frames(stage, head, model):
    def draw(x):
        xy = scale_points(stage.truth, model.input_scale)[None].astype(np.float32)
        classes = tf.constant(stage.classes[None], tf.int32)
        targets = head.targets(tf.constant(xy), *x.shape[1:3], classes)
        maps = {name: np.asarray(targets[name]) for name in head.n_outputs}
        if "classmaps" in maps:  # the network gives logits
            maps["classmaps"] = np.log(np.maximum(maps["classmaps"], 1e-6))
        return list(maps.values())

    return draw


def draw_windows(stage, head, model):
    """The maps of the animal whose place is nearest to the middle of each window."""

    def draw(x):
        maps, vectors = [], []
        for window in x.astype(np.float64) * 255:
            corner = find_corner(window, model.input_scale)
            centre = corner + (np.array(window.shape[1::-1]) - 1) / 2
            xy = scale_points(stage.truth, model.input_scale)
            away = np.linalg.norm(locate_anchors(xy, None) - centre, axis=-1)
            number = int(away.argmin())
            maps.append(
                confidence_maps(
                    xy[number : number + 1] - corner, *window.shape[:2], model.output_stride,
                    model.sigma_px,
                )
            )  # fmt: skip
            vectors.append(10.0 * (np.arange(len(CLASSES)) == stage.classes[number]))
        drawn = [np.stack(maps).astype(np.float32)]
        return drawn + [np.stack(vectors).astype(np.float32)] * len(head.n_vectors)

    return draw


@cache
def make_predictor(pipeline, scale=1.0, stride=2, config=OURS, max_edge_px=60.0):
    """A predictor and the stage of its networks; what is compiled serves many tests."""
    stage = Stage()
    networks, models = {}, {}
    for name in PIPELINES.get(pipeline).heads:
        closer = name in CENTRED_HEADS
        model = ModelConfig(
            backbone_options={"down_blocks": 3},
            channels=3,
            input_scale=scale,
            output_stride=stride,
            sigma_px=1.5 * stride,
            crop_px=int(96 * scale) if closer else 0,
            paf_half_width_px=max(6.0 * scale, 1.0 * stride),
            max_edge_px=max_edge_px * scale,
            classes=CLASSES if name.endswith("_id") else (),
        )
        head = HEADS.get(name)(model, SKELETON)
        draw = (draw_windows if closer else draw_frames)(stage, head, model)
        networks[name], models[name] = stand_in(head, draw), model
    return Predictor(RunConfig(pipeline, models), SKELETON, networks, config), stage


def look(pipeline, *case, truth=TRUTH, frame=None, **options):
    """Inspect one frame with these animals."""
    predictor, stage = make_predictor(pipeline, *case, **options)
    stage.show(truth)
    return predictor.inspect(ramp() if frame is None else frame)


def peaks_of(stack):
    """All peaks of a stack as a layer shows it, in layer coordinates: (K, P, 2) as (y, x)."""
    cells, _ = local_peaks(np.moveaxis(stack.values, 0, -1)[None].astype(np.float32), 0.3, 4)
    scale, translate = stack.grid.layer_transform()
    return cells[0][..., ::-1] * scale + translate


def assert_each_has(points, found, bound=BOUND_PX):
    """Each of the points (N, 2) is within a bound of one of the found (P, 2)."""
    away = np.linalg.norm(points[:, None] - found[None], axis=-1)
    assert np.nanmin(away, axis=1).max() < bound


# ------------------------------------------------------------------------------- alignment
@pytest.mark.parametrize(("scale", "stride"), CASES)
@pytest.mark.parametrize("pipeline", ["bottomup", "bottomup-id"])
def test_maps_of_many_animals_lie_where_the_points_are(pipeline, scale, stride):
    seen = look(pipeline, scale, stride)
    maps = seen.maps[0]
    assert (maps.name, maps.channels, maps.crop) == ("confmaps", SKELETON.nodes, -1)
    assert maps.values.dtype == np.float16
    assert maps.grid.scale == stride / scale
    found = peaks_of(maps)
    for node in range(3):
        assert_each_has(TRUTH[:, node, ::-1], found[node])
    for node in range(3):
        used = (seen.peaks.node == node) & (seen.peaks.instance >= 0)
        np.testing.assert_allclose(
            seen.peaks.xy[used], seen.instances.xy[seen.peaks.instance[used], node]
        )
        assert_each_has(TRUTH[:, node], seen.peaks.xy[used])
    assert (seen.peaks.instance >= 0).sum() == 6
    assert seen.size == SIZE


@pytest.mark.parametrize(("scale", "stride"), CASES)
def test_fields_point_from_source_to_destination_where_the_limbs_are(scale, stride):
    seen = look("bottomup", scale, stride)
    half_width = max(6.0, stride / scale)
    for edge, (a, b) in enumerate(SKELETON.edges):
        drawn = paf_vectors(seen, edge, threshold=0.5)
        assert (drawn.edge == edge).all()
        assert (drawn.magnitude >= 0.5).all()
        n_near = 0
        for source, destination in TRUTH[:, [a, b]]:
            limb = destination - source
            unit = limb / np.linalg.norm(limb)
            away = drawn.vectors[:, 0, ::-1] - source
            along = np.clip(away @ unit, 0, np.linalg.norm(limb))
            distance = np.linalg.norm(away - along[:, None] * unit, axis=-1)
            near = distance < 2 * half_width
            n_near += near.sum()
            # The weight of the field is one half at its half-width: where it is drawn.
            assert distance[near].max() < half_width + 0.01
            np.testing.assert_allclose(
                drawn.vectors[near, 1, ::-1],
                drawn.magnitude[near, None] * unit * seen.fields.grid.scale,
                atol=0.004 * seen.fields.grid.scale,
            )
        assert n_near == len(drawn.edge) > 0


@pytest.mark.parametrize(("scale", "stride"), CASES)
def test_maps_of_crops_lie_where_the_animals_are(scale, stride):
    seen = look("topdown", scale, stride)
    centroids, *crops = seen.maps
    assert (centroids.name, centroids.channels) == ("centroids", ("centroid",))
    places = locate_anchors(TRUTH, None)
    assert_each_has(places[:, ::-1], peaks_of(centroids)[0])
    assert len(crops) == len(seen.crops) == 2
    for row, stack in enumerate(crops):
        assert (stack.name, stack.crop) == ("confmaps", row)
        assert seen.crop_maps(row) == (stack,)
        animal = np.linalg.norm(places - seen.crops.centre[row], axis=-1).argmin()
        found = peaks_of(stack)[:, 0]
        np.testing.assert_allclose(found, TRUTH[animal, :, ::-1], atol=BOUND_PX)
        x0, y0, x1, y1 = seen.crops.rectangle[row]
        np.testing.assert_allclose([(x0 + x1) / 2, (y0 + y1) / 2], places[animal], atol=BOUND_PX)
        np.testing.assert_allclose([x1 - x0, y1 - y0], 96, atol=1e-3)
        # The outer edge of the first pixel of the crop, in whose centre the first cell is.
        first = stack.grid.to_frame([0, 0]) - 0.5 / scale
        np.testing.assert_allclose(first, [x0, y0], atol=1e-4)
        in_crop = seen.peaks.crop == row
        assert_each_has(TRUTH[animal], seen.peaks.xy[in_crop])
    assert seen.full_maps == (centroids,)


@pytest.mark.parametrize(("scale", "stride"), [(1.0, 4), (0.5, 2)])
def test_maps_of_a_single_animal(scale, stride):
    seen = look("single", scale, stride, truth=TRUTH[:1])
    (maps,) = seen.maps
    np.testing.assert_allclose(peaks_of(maps)[:, 0], TRUTH[0, :, ::-1], atol=BOUND_PX)
    np.testing.assert_allclose(seen.instances.xy, TRUTH[:1], atol=BOUND_PX)
    assert seen.peaks.instance.tolist() == [0, 0, 0]
    assert seen.peaks.node.tolist() == [0, 1, 2]


def test_class_maps_say_whose_points_are_where():
    seen = look("bottomup-id", 0.5, 2)
    _, classes = seen.maps
    assert (classes.name, classes.channels) == ("classmaps", CLASSES)
    for number, animal in enumerate(TRUTH):
        column, row = np.rint(classes.grid.to_cells(animal)).astype(int).T
        np.testing.assert_allclose(
            classes.values[:, row, column].T, np.tile(np.eye(2)[number], (3, 1)), atol=0.01
        )
        used = seen.instances.track[seen.peaks.instance] == number
        assert (seen.peaks.likely[used].argmax(axis=1) == number).all()
    assert seen.classes == CLASSES


def test_maps_end_where_the_frame_ends():
    """117 x 322 px are padded to multiples of 8; at stride 4 that is 30 x 82 cells."""
    seen = look("bottomup", 1.0, 4)
    assert seen.maps[0].values.shape == (3, 30, 81)  # the last at px 116 and 320
    assert seen.fields.values.shape == (2, 30, 81, 2)


# ----------------------------------------------------------- what the predictor says itself
@pytest.mark.parametrize(
    ("pipeline", "max_instances"),
    [
        ("single", 0), ("topdown", 0), ("bottomup", 0), ("bottomup-id", 0),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in [("topdown-id", 0), ("topdown", 1), ("bottomup-id", 1), ("bottomup", 1)]
        ),
    ],
)  # fmt: skip
def test_instances_are_those_of_the_predictor(pipeline, max_instances):
    config = OURS.replace(max_instances=max_instances)
    predictor, stage = make_predictor(pipeline, 0.5, 2, config)
    stage.show(TRUTH[:1] if pipeline == "single" else TRUTH)
    expected = predictor.predict(open_video(np.stack([ramp()] * 4)), [3], video_number=2)
    seen = predictor.inspect(ramp(), video_number=2, number=3)
    assert (seen.video, seen.frame, seen.pipeline) == (2, 3, pipeline)
    assert seen.instances.track_names == expected.track_names
    for column in ("video", "frame", "track", "origin"):
        np.testing.assert_array_equal(getattr(seen.instances, column), getattr(expected, column))
    for column in ("xy", "point_score", "score", "track_score"):
        np.testing.assert_allclose(
            getattr(seen.instances, column), getattr(expected, column), atol=1e-4
        )
    used = seen.peaks.instance >= 0
    points = used & (seen.peaks.node != PLACE)
    np.testing.assert_allclose(
        seen.peaks.xy[points],
        seen.instances.xy[seen.peaks.instance[points], seen.peaks.node[points]],
        atol=1e-3,
    )
    assert points.sum() == np.isfinite(seen.instances.xy[..., 0]).sum()
    again = pickle.loads(pickle.dumps(seen))
    np.testing.assert_array_equal(again.peaks.xy, seen.peaks.xy)
    assert again.instances == seen.instances
    assert all(seconds >= 0 for seconds in seen.seconds.values())
    assert "packing" in seen.seconds


def test_frames_of_other_sizes_follow():
    for size in (SIZE, (117, 130), (110, 130), SIZE):
        seen = look("bottomup", 0.5, 2, truth=TRUTH[:1], frame=ramp(size))
        np.testing.assert_allclose(seen.instances.xy, TRUTH[:1], atol=BOUND_PX)
        assert seen.size == size
        assert seen.maps[0].values.shape[1:] == tuple(-(-side // 4) for side in size)


def test_an_empty_frame_has_maps_and_nothing_else():
    for pipeline in ("topdown", "bottomup", "bottomup-id", "single"):
        seen = look(pipeline, 0.5, 2, truth=np.full((1, 3, 2), np.nan))
        assert len(seen.instances) == len(seen.peaks) == 0
        assert seen.maps[0].values.max() == 0
        if pipeline == "topdown":
            assert len(seen.crops) == 0
        if pipeline == "bottomup":
            assert len(seen.connections) == 0
            assert len(paf_vectors(seen).edge) == 0


# ------------------------------------------------------------------------------ connections
def read_along(seen, row):
    """The field along the line of a pair at ten places, by another way than the detector's."""
    pairs = seen.connections
    start, end = seen.peaks.xy[[pairs.source[row], pairs.destination[row]]].astype(float)
    along = (np.arange(10)[:, None] + 0.5) / 10
    cells = seen.fields.grid.to_cells(start + along * (end - start))
    field = seen.fields.values[pairs.edge[row]].astype(float)  # (h, w, 2)
    read = [map_coordinates(field[..., i], cells.T[::-1], order=1) for i in (0, 1)]
    return np.stack(read, axis=-1) @ (end - start) / np.linalg.norm(end - start)


def test_all_pairs_are_listed_with_the_parts_of_their_scores():
    seen = look("bottomup", 0.5, 2, max_edge_px=24.0)
    pairs = seen.connections
    assert len(pairs) == 2 * 2 * 2  # edges, sources, destinations
    ends = np.array(SKELETON.edges)[pairs.edge]
    np.testing.assert_array_equal(seen.peaks.node[pairs.source], ends[:, 0])
    np.testing.assert_array_equal(seen.peaks.node[pairs.destination], ends[:, 1])
    away = seen.peaks.xy[pairs.destination] - seen.peaks.xy[pairs.source]
    length = np.linalg.norm(away, axis=-1)
    np.testing.assert_allclose(pairs.length_px, length, rtol=1e-4)
    np.testing.assert_allclose(pairs.penalty, np.minimum(24.0 / length - 1, 0), atol=1e-4)
    np.testing.assert_allclose(pairs.score, pairs.alignment + pairs.penalty, atol=1e-6)
    own = seen.peaks.instance
    together = own[pairs.source] == own[pairs.destination]
    np.testing.assert_array_equal(pairs.verdict == Verdict.JOINED, together)
    np.testing.assert_array_equal(pairs.instance, np.where(together, own[pairs.source], -1))
    assert (pairs.alignment[together] > 0.9).all()
    np.testing.assert_allclose(pairs.support[together], 1)
    for row in range(len(pairs)):
        dots = read_along(seen, row)
        assert pairs.alignment[row] == pytest.approx(dots.mean(), abs=2e-3)
        assert pairs.support[row] == pytest.approx((dots > 0.1).mean(), abs=1e-6)
    assert (pairs.verdict[~together] == Verdict.LOW_SCORE).all()
    (row, *_) = np.flatnonzero(~together)
    assert "below 0.25" in explain_connection(seen, row)
    assert "for the distance of" in explain_connection(seen, row)


def test_a_second_head_on_the_line_of_the_first_loses():
    lone = np.full((1, 3, 2), np.nan)
    middle, tail = TRUTH[0, 1], TRUTH[0, 2]
    lone[0, 2] = tail + 0.3 * (middle - tail)  # a third of the way back, on the limb
    seen = look("bottomup", 0.5, 2, truth=np.concatenate([TRUTH[:1], lone]))
    pairs = seen.connections
    lost = np.flatnonzero(pairs.verdict == Verdict.LOST)
    assert len(lost) == 1
    assert pairs.edge[lost].tolist() == [1]
    assert pairs.score[lost[0]] > 0.9
    (winner,) = np.flatnonzero((pairs.edge == 1) & (pairs.verdict == Verdict.JOINED))
    assert pairs.source[winner] == pairs.source[lost[0]]
    said = explain_connection(seen, lost[0])
    assert "its middle is joined to another tail, with line score 0.9" in said
    assert explain_connection(seen, winner).startswith("Joined: line score 0.9")
    assert len(seen.instances) == 1


def test_verdicts_by_hand():
    scores = np.array([[[0.2, 0.9, 0.9, 0.9, np.nan, -0.5]]], np.float32)
    support = np.array([[[0.9, 0.5, 0.9, 0.9, np.nan, 0.9]]], np.float32)
    joined = np.array([[[False, False, False, True, False, False]]])
    how = Grouping(min_line_score=0.25, min_support=0.7)
    assert _judge(Candidates(scores, support, joined), how)[0, 0, [0, 1, 2, 3, 5]].tolist() == [
        Verdict.LOW_SCORE, Verdict.LOW_SUPPORT, Verdict.LOST, Verdict.JOINED, Verdict.LOW_SCORE,
    ]  # fmt: skip
    none = _judge(Candidates(-np.abs(scores), support, joined & False), Grouping(min_line_score=0))
    assert (none[0, 0, [0, 1, 2, 3, 5]] == Verdict.LOW_SCORE).all()


def test_joined_to_an_animal_that_is_left_out():
    seen = look("bottomup", 0.5, 2, OURS.replace(max_instances=1))
    joined = seen.connections.verdict == Verdict.JOINED
    assert joined.sum() == 4
    assert (seen.connections.instance[joined] >= 0).sum() == 2
    (row, *_) = np.flatnonzero(joined & (seen.connections.instance < 0))
    assert explain_connection(seen, row).endswith("was left out.")
    assert seen.peaks.instance.max() == 0
    assert (seen.peaks.instance == 0).sum() == 3


def test_a_gap_in_the_field_is_told_by_its_support():
    seen = look("bottomup", 0.5, 2)
    pairs, limits = seen.connections, seen.limits
    (row, *_) = np.flatnonzero(pairs.verdict == Verdict.JOINED)
    pairs.support[row], pairs.verdict[row] = 0.4, Verdict.LOW_SUPPORT
    said = explain_connection(seen, row)
    assert said.startswith("Not joined: the field agrees on 40% of the line, less than 70%")
    assert limits["min_support"] == 0.7


# ------------------------------------------------------------------------------------ crops
def test_crops_say_what_became_of_them():
    """Places on animals, twice on one of them, beside them and where hardly anything is."""
    config = OURS.replace(max_instances=2)
    detector = make_predictor("topdown", 0.5, 2, config)[0]._detector
    seen = look("topdown", 0.5, 2, config)
    assert seen.crops.verdict.tolist() == [CropVerdict.KEPT, CropVerdict.KEPT]
    assert sorted(seen.crops.instance.tolist()) == [0, 1]
    places = seen.peaks.node == PLACE
    assert seen.peaks.crop[places].tolist() == [-1, -1]
    np.testing.assert_array_equal(seen.peaks.instance[places], seen.crops.instance)
    assert explain_crop(seen, 0).startswith("Kept: an animal is there with confidence")

    points = np.stack(
        [TRUTH[0], TRUTH[0] + 0.5, TRUTH[1], TRUTH[1] + 200, TRUTH[1] + 400, TRUTH[1]]
    )
    heights = np.repeat(np.array([[0.9], [0.8], [0.7], [0.6], [0.3], [0.1]], np.float32), 3, axis=1)
    verdicts = detector._judge_frame(points, heights, heights[:, 0] * [1, 1, 1, 1, 0.1, 1])
    assert verdicts.tolist() == [
        CropVerdict.KEPT, CropVerdict.DUPLICATE, CropVerdict.KEPT, CropVerdict.SURPLUS,
        CropVerdict.FAINT, CropVerdict.NO_POINTS,
    ]  # fmt: skip
    for verdict, words in [
        (CropVerdict.DUPLICATE, "in a better crop"),
        (CropVerdict.SURPLUS, "2 better animals are allowed"),
        (CropVerdict.FAINT, "confidence of all points) is below 0.10"),
        (CropVerdict.NO_POINTS, "no point in it reaches 0.20"),
    ]:
        seen.crops.verdict[0] = verdict
        assert words in explain_crop(seen, 0)
    with pytest.raises(DataError, match="bottom-up"):
        explain_connection(seen, 0)
    bottomup = look("bottomup", 0.5, 2)
    with pytest.raises(DataError, match="top-down"):
        explain_crop(bottomup, 0)


def test_faint_peaks_are_listed_and_belong_to_nobody():
    """A threshold above the heights of the maps leaves the peaks, and no animal."""
    for pipeline in ("topdown", "bottomup"):
        config = OURS.replace(peak_threshold=1.0)
        seen = look(pipeline, 0.5, 2, config, truth=TRUTH[:1])
        assert len(seen.instances) == 0
        assert len(seen.peaks) == (1 if pipeline == "topdown" else 3)
        assert (seen.peaks.instance == -1).all()
        assert (seen.peaks.score > 0.5).all()


# ------------------------------------------------------------------------- views by hand
def fields_by_hand():
    values = np.zeros((2, 4, 6, 2), np.float16)
    values[0, 1, 2] = [0.5, 0.0]
    values[0, 1, 3] = [0.0, -1.0]
    values[1, 3, 5] = [0.6, 0.8]
    values[1, 0, 0] = [0.05, 0.0]
    return Fields(np.array([[0, 1], [1, 2]]), values, Grid(4.0, 1.5, -0.5))


def test_vectors_are_starts_and_directions_in_y_x():
    drawn = paf_vectors(fields_by_hand())
    expected = [
        [[1 * 4 - 0.5, 2 * 4 + 1.5], [0.0, 2.0]],
        [[1 * 4 - 0.5, 3 * 4 + 1.5], [-4.0, 0.0]],
        [[3 * 4 - 0.5, 5 * 4 + 1.5], [3.2, 2.4]],
    ]
    np.testing.assert_allclose(drawn.vectors, expected, atol=2e-3)
    assert drawn.vectors.dtype == np.float32
    assert drawn.edge.tolist() == [0, 0, 1]
    np.testing.assert_allclose(drawn.magnitude, [0.5, 1.0, 1.0], atol=1e-3)


def test_vectors_of_one_edge_above_a_threshold_of_a_length():
    drawn = paf_vectors(fields_by_hand(), edge=1, threshold=0.0, length_px=10.0)
    assert drawn.edge.tolist() == [1, 1]
    np.testing.assert_allclose(drawn.vectors[1, 1], [8.0, 6.0], atol=5e-3)
    assert paf_vectors(fields_by_hand(), threshold=0.6).edge.tolist() == [0, 1]
    with pytest.raises(DataError, match="from 0 to 1; received 2"):
        paf_vectors(fields_by_hand(), edge=2)
    with pytest.raises(DataError, match="at least 1 cell"):
        paf_vectors(fields_by_hand(), stride_cells=0)


def test_a_stride_keeps_the_strongest_of_each_square_at_its_place():
    drawn = paf_vectors(fields_by_hand(), stride_cells=4, threshold=0.01)
    # Squares of edge 0: columns 0-3 hold both; of edge 1: columns 0-3 and 4-5.
    np.testing.assert_allclose(
        drawn.vectors[:, 0], [[3.5, 13.5], [-0.5, 1.5], [11.5, 21.5]], atol=1e-6
    )
    np.testing.assert_allclose(drawn.vectors[0, 1], [-16.0, 0.0])  # as long as the square
    assert drawn.edge.tolist() == [0, 1, 1]


def test_projection_by_hand():
    stack = np.zeros((2, 1, 4), np.float16)
    stack[0, 0] = [1.0, 0.5, 0.0, 2.0]
    stack[1, 0] = [0.0, 0.5, 1.0, np.nan]
    picture = project_maps(stack, [[255, 0, 51], [0, 102, 255]])
    expected = [[1, 0, 0.2], [0.5, 0.2, 0.5], [0, 0.4, 1], [1, 0, 0.2]]
    np.testing.assert_allclose(picture[0], expected, atol=1e-6)
    assert picture.dtype == np.float32
    floats = project_maps(stack, [[1.0, 0.0, 0.2], [0.0, 0.4, 1.0]])
    np.testing.assert_allclose(floats, picture, atol=1e-6)
    with pytest.raises(DataError, match="a colour"):
        project_maps(stack, [[1.0, 0.0, 0.0]])


def test_a_grid_goes_both_ways():
    grid = Grid(4.0, 1.5, -0.5)
    cells = np.array([[0.0, 0.0], [2.5, 3.0]])
    np.testing.assert_allclose(grid.to_frame(cells), [[1.5, -0.5], [11.5, 11.5]])
    np.testing.assert_allclose(grid.to_cells(grid.to_frame(cells)), cells)
    assert grid.layer_transform() == ((4.0, 4.0), (-0.5, 1.5))
    np.testing.assert_allclose(grid.resized(2.0).to_frame(cells), 2 * grid.to_frame(cells))
