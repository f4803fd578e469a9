"""Layers of an inspection: what is drawn lies where it belongs, and nothing stale stays."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from fake_session import FakeVideo
from made_inspections import ANIMALS, SIZE, SKELETON, make_inspection, make_topdown

from napari_animalpose._widgets._inspect_arrays import (
    ALL,
    MOST_ARROWS,
    Choice,
    draw_connections,
    draw_fields,
    list_maps,
)
from napari_animalpose._widgets._inspect_layers import KINDS, InspectLayers
from napari_animalpose._widgets._session import get_session
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.drawing.colors import node_colors, qualitative_colors
from napari_animalpose.nn.peaks import local_peaks
from napari_animalpose.pipeline.document import Document

pytestmark = pytest.mark.gui

CASES = list(itertools.product((1.0, 0.5), (1, 2, 4, 8)))
BOUND_PX = 0.05


@pytest.fixture
def session(make_napari_viewer_proxy):
    session = get_session(make_napari_viewer_proxy())
    poses = Poses.from_arrays(
        SKELETON, frame=[0, 0, 5], xy=np.concatenate([ANIMALS, ANIMALS[:1]]), track=[0, 1, 0],
        track_names=("a", "b"),
    )  # fmt: skip
    session.set_document(Document(Project((FakeVideo(20),), poses)))
    yield session
    session.close()


@pytest.fixture
def layers(session):
    layers = InspectLayers(session)
    yield layers
    layers.close()


def names(session) -> list[str]:
    return [layer.name for layer in session.viewer.layers]


def world_peaks(layer, most: int = 4) -> np.ndarray:
    """Sub-pixel maxima of an image layer in world coordinates, (P, 2) as (y, x)."""
    values = np.asarray(layer.data, np.float32)
    cells, _ = local_peaks(values[None, ..., None], 0.3, most)
    cells = cells[0, 0]
    cells = cells[np.isfinite(cells).all(axis=1)][:, ::-1]
    return np.array([layer.data_to_world(cell)[-2:] for cell in cells])


def distance_to(points: np.ndarray, found: np.ndarray) -> float:
    """The largest distance of a point to the nearest that was found."""
    return float(np.linalg.norm(points[:, None] - found[None], axis=-1).min(axis=1).max())


# ------------------------------------------------------------------------------ alignment
def test_peaks_of_map_layers_lie_on_the_points(layers):
    for (scale, stride), (number, node) in itertools.product(CASES, enumerate(SKELETON.nodes)):
        seen = make_inspection(scale=scale, stride=stride)
        layers.show(seen, Choice(maps=("confmaps", node)))
        [layer] = layers.layers("maps")
        away = distance_to(ANIMALS[:, number, ::-1], world_peaks(layer))
        assert away < BOUND_PX, (scale, stride, node)
        np.testing.assert_allclose(
            layer.colormap.colors[-1, :3], node_colors(SKELETON)[number] / 255
        )


def test_all_maps_at_once_are_brightest_where_the_points_are_in_their_colours(layers):
    for scale, stride in CASES:
        layers.show(make_inspection(scale=scale, stride=stride), Choice())
        [layer] = layers.layers("maps")
        assert layer.rgb
        assert layer.blending == "additive"
        for animal, (number, _) in itertools.product(ANIMALS, enumerate(SKELETON.nodes)):
            cell = layer.world_to_data(animal[number, ::-1])[-2:]
            row, column = np.rint(cell).astype(int)
            color = layer.data[row, column] / 255
            expected = node_colors(SKELETON)[number] / 255
            strength = color.max() / expected.max()
            assert strength > 0.85, (scale, stride)
            assert (color - strength * expected > -0.03).all(), (scale, stride)
            if stride / scale <= 4:  # wider bumps reach the next node and mix with its colour
                np.testing.assert_allclose(color, strength * expected, atol=0.03)


def test_fields_point_from_source_to_destination_where_the_limbs_are(layers):
    for (scale, stride), number in itertools.product(CASES, range(len(SKELETON.edges))):
        source, destination = SKELETON.edges[number]
        seen = make_inspection(scale=scale, stride=stride)
        layers.show(seen, Choice(edge=number, threshold=0.6, stride_cells=1))
        [layer] = layers.layers("fields")
        start, direction = layer.data[:, 0, ::-1], layer.data[:, 1, ::-1]  # (x, y)
        assert len(start)
        limbs = ANIMALS[:, destination] - ANIMALS[:, source]
        units = limbs / np.linalg.norm(limbs, axis=1, keepdims=True)
        middles = (ANIMALS[:, destination] + ANIMALS[:, source]) / 2
        nearest = np.linalg.norm(start[:, None] - middles, axis=-1).argmin(axis=1)
        along = (direction * units[nearest]).sum(axis=1) / np.linalg.norm(direction, axis=1)
        assert along.min() > 0.99, (scale, stride)
        offset, unit = start - ANIMALS[nearest, source], units[nearest]
        across = np.abs(offset[:, 0] * unit[:, 1] - offset[:, 1] * unit[:, 0])
        assert across.max() < max(6.0, stride / scale), (scale, stride)


def test_crops_have_their_own_place_to_a_fraction_of_a_pixel(layers):
    for scale, stride in CASES:
        seen = make_topdown(scale=scale, stride=stride)
        layers.show(seen, Choice(maps=("confmaps", "tail")))
        maps = layers.layers("maps")
        assert [layer.name for layer in maps] == ["confidence maps", "confidence maps 2"]
        for animal, layer in zip(ANIMALS, maps, strict=True):
            away = distance_to(animal[2:, ::-1], world_peaks(layer))
            assert away < BOUND_PX, (scale, stride)
        # The outermost cells lie half an input px inside of the outline.
        first = maps[0].data_to_world((0, 0))[-2:][::-1]
        [outlines] = layers.layers("crops")
        corners = outlines.data[:, 0, ::-1].reshape(3, 4, 2)[::-1]
        np.testing.assert_allclose(first - corners[0, 0], 0.5 / scale, atol=1e-4)
        np.testing.assert_allclose(corners[:, 0], seen.crops.rectangle[:, :2], atol=1e-4)
        np.testing.assert_allclose(corners[:, 2], seen.crops.rectangle[:, 2:], atol=1e-4)
        layers.show(seen, Choice(maps=("centroids", ALL)))
        found = world_peaks(layers.layers("maps")[0])
        assert distance_to(seen.crops.centre[:2, ::-1].astype(float), found) < BOUND_PX
        assert not layers.layers("maps")[1].data.any()


def test_peaks_and_lines_join_the_points(layers):
    seen = make_inspection()
    layers.show(seen, Choice())
    [peaks], [lines] = layers.layers("peaks"), layers.layers("connections")
    np.testing.assert_allclose(peaks.data, seen.peaks.xy[:, ::-1])
    assert [str(symbol) for symbol in peaks.symbol] == ["disc"] * 6 + ["x"]
    assert list(peaks.features["used"]) == ["animal 1"] * 3 + ["animal 2"] * 3 + ["no"]
    assert peaks.size[-1] < peaks.size[0]
    joined = seen.connections.instance >= 0
    assert len(lines.data) == 6  # those without support would hide everything
    np.testing.assert_allclose(np.sort(lines.edge_color[:, 3])[-joined.sum() :], 1.0)
    ends = np.unique(np.round(lines.data.sum(axis=1), 2).astype(float), axis=0)
    points = ANIMALS[:, [0, 2], ::-1].reshape(-1, 2)
    np.testing.assert_allclose(ends, np.unique(points, axis=0), atol=0.02)
    colors = np.unique(lines.edge_color[lines.edge_color[:, 3] == 1, :3], axis=0)
    np.testing.assert_allclose(colors, np.unique(qualitative_colors(2) / 255, axis=0), atol=1e-6)


def test_a_chosen_connection_stands_out(layers):
    seen = make_inspection()
    row = int(np.flatnonzero(seen.connections.verdict == 3)[0])
    ends = int(seen.connections.source[row]), int(seen.connections.destination[row])
    layers.show(seen, Choice(chosen_connection=row, chosen_peaks=ends))
    [lines], [peaks] = layers.layers("connections"), layers.layers("peaks")
    np.testing.assert_allclose(lines.edge_color[-1], 1.0)  # white, and drawn last
    np.testing.assert_allclose(lines.data[-1, 0], seen.peaks.xy[ends[0], ::-1])
    assert (lines.edge_color[:-1, 3] < 0.5).all()
    assert set(np.flatnonzero(peaks.size == peaks.size.max())) == set(ends)


def test_what_is_not_asked_for_is_left_out(layers):
    seen = make_inspection()
    layers.show(seen, Choice(edge=0, only_rejected=True))
    assert len(layers.layers("connections")[0].data) == 2
    assert set(layers.layers("peaks")[0].features["peak"]) == {"head", "middle"}
    assert set(draw_fields(seen, Choice(edge=0)).colors[:, 0]) == {
        np.float32(draw_fields(seen, Choice(edge=0)).colors[0, 0])
    }
    layers.show(seen, Choice(maps=("confmaps", "tail")))
    assert set(layers.layers("peaks")[0].features["peak"]) == {"tail"}


def test_arrows_are_thinned_out_before_they_are_too_many():
    seen = make_inspection(stride=1)
    everywhere = replace(seen.fields, values=np.full((2, *SIZE, 2), 0.7, np.float16))
    lines = draw_fields(replace(seen, fields=everywhere), Choice(stride_cells=1, threshold=0))
    assert MOST_ARROWS / 3 < len(lines.vectors) <= MOST_ARROWS


def test_pipelines_that_join_nothing_show_their_animals():
    lines = draw_connections(make_topdown(), Choice())
    assert len(lines.vectors) == 4
    np.testing.assert_allclose(lines.vectors[0, 0], ANIMALS[0, 1, ::-1], atol=1e-4)


def test_maps_that_can_be_chosen():
    assert [text for text, _ in list_maps(make_inspection())] == [
        "all nodes", "head", "middle", "tail",
    ]  # fmt: skip
    assert list_maps(make_topdown())[-1] == ("places of animals", ("centroids", ALL))


# ------------------------------------------------------------------------ coming and going
def test_layers_lie_around_the_instances_which_stay_active(session, layers):
    layers.show(make_topdown(), Choice())
    layers.show(make_inspection(), Choice())
    order = names(session)
    assert order[1:4] == ["confidence maps", "confidence maps 2", "part affinity fields"]
    assert order[-3:] == ["crops", "connections", "peaks"]
    assert session.viewer.layers.selection.active is session.canvas.points
    layers.close()
    assert names(session) == ["video.mp4", "tracks", "skeleton", "instances"]


def test_cleared_layers_show_nothing_and_are_filled_again(layers):
    seen = make_inspection()
    layers.show(seen, Choice())
    kept = {kind: layers.layers(kind) for kind in KINDS}
    layers.clear()
    assert layers.inspection is None
    for kind in ("fields", "connections", "peaks"):
        assert len(kept[kind][0].data) == 0
    assert not kept["maps"][0].data.any()
    layers.show(make_inspection(1, animals=ANIMALS + 3.25), Choice())
    assert {kind: layers.layers(kind) for kind in KINDS} == kept
    points = (ANIMALS + 3.25)[..., ::-1].reshape(-1, 2)
    np.testing.assert_allclose(kept["peaks"][0].data[:6], points, rtol=1e-6)


def test_frames_with_more_or_fewer_peaks_than_before(layers):
    for animals in (ANIMALS, ANIMALS[:1], ANIMALS[:0], np.concatenate([ANIMALS, ANIMALS + 9])):
        layers.show(make_inspection(animals=animals), Choice(only_rejected=True))
        rejected = 2 * len(animals) * (len(animals) - 1)
        lines = layers.layers("connections")
        assert sum(len(layer.data) for layer in lines) == rejected
        layers.show(make_inspection(animals=animals), Choice(edge=0))
        assert len(layers.layers("connections")[0].data) == len(animals) ** 2
        layers.show(make_inspection(animals=animals), Choice())
        assert len(layers.layers("peaks")[0].data) == 3 * len(animals) + 1
        assert len(layers.layers("peaks")[0].face_color) == 3 * len(animals) + 1


def test_a_layer_that_a_person_deletes_stays_away_until_it_is_asked_for(session, layers):
    told = []
    layers.shown_changed.connect(lambda *args: told.append(args))
    for kind, name in KINDS.items():
        if kind == "crops":
            continue
        layers.show(make_inspection(), Choice())
        session.viewer.layers.remove(name)
        assert told[-1] == (kind, False)
        layers.show(make_inspection(1), Choice())
        assert name not in names(session)
        layers.set_wanted(kind, True)
        assert name in names(session)
    layers.show(make_topdown(), Choice())
    session.viewer.layers.remove("confidence maps 2")
    assert "confidence maps" not in names(session)


def test_hidden_layers_are_filled_when_they_are_seen_again(session, layers):
    layers.show(make_inspection(), Choice())
    told = []
    layers.shown_changed.connect(lambda *args: told.append(args))
    peaks = session.viewer.layers["peaks"]
    peaks.visible = False
    assert told == [("peaks", False)]
    layers.clear()
    layers.show(make_inspection(animals=ANIMALS[:1]), Choice())
    assert len(peaks.data) == 7  # of the frame before, and not seen
    peaks.visible = True
    assert len(peaks.data) == 4
    assert told[-1] == ("peaks", True)
    peaks.visible = False
    layers.clear()
    peaks.visible = True
    assert len(peaks.data) == 0


def test_a_step_through_the_video_does_not_touch_the_layers(session, layers):
    layers.show(make_inspection(), Choice())
    session.go_to(5)
    layers.show(make_inspection(5), Choice())
    assert session.viewer.dims.ndim == 3
    assert len(session.viewer.layers["peaks"].data) == 7
