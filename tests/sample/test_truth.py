"""Ground truth against what is drawn: positions below 0.1 px, visibility exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from napari_animalpose.data.poses import Origin, Visibility
from napari_animalpose.sample import SPECIES, Sample, make_sample


def find_centroid(mask: np.ndarray) -> np.ndarray:
    y, x = np.indices(mask.shape)
    return np.array([(mask * x).sum(), (mask * y).sum()]) / mask.sum()


def find_rim(mask: np.ndarray, start: np.ndarray, direction: np.ndarray) -> float:
    """Return how far from `start` the coverage falls to one half."""
    steps = np.arange(-3, 14, 0.01)
    x, y = (start[:, None] + direction[:, None] * steps).tolist()
    profile = map_coordinates(mask, [y, x], order=1)
    return float(steps[np.flatnonzero(profile >= 0.5)[-1]])


def is_inside(sample: Sample, point: np.ndarray, margin: float = 12) -> bool:
    height, width = sample.config.size
    return bool((point > margin).all() and (point < np.array([width, height]) - margin).all())


FRAMES = (0, 77, 150, 233, 310)


@pytest.fixture(scope="module", params=SPECIES.names())
def sample(request: pytest.FixtureRequest) -> Sample:
    return make_sample(n_frames=1200, species=request.param, seed=2)


@pytest.mark.parametrize(
    ("species", "parts"),
    [("fly", ("eyeL", "eyeR")), ("mouse", ("nose", "earL", "earR"))],
)
def test_round_parts_are_centred_on_their_points(species: str, parts: tuple[str, ...]) -> None:
    sample = make_sample(n_frames=320, species=species, seed=2)
    for frame in FRAMES:
        for animal in (0, 1):
            for part in parts:
                point = sample.points[frame, animal, sample.skeleton.index(part)]
                if is_inside(sample, point):
                    centroid = find_centroid(sample.video.part_mask(frame, animal, part))
                    assert np.abs(centroid - point).max() < 0.05


@pytest.mark.parametrize(
    ("part", "inner"), [("abdomen", "thorax"), ("wingL", None), ("wingR", None)]
)
def test_tips_of_long_parts_lie_on_their_rim(part: str, inner: str | None) -> None:
    sample = make_sample(n_frames=320, seed=2)
    hinge = {"wingL": (0.09, -0.085), "wingR": (0.09, 0.085), "abdomen": (-0.02, 0.0)}[part]
    for frame in FRAMES:
        for animal in (0, 1):
            tip = sample.points[frame, animal, sample.skeleton.index(part)]
            heading = sample.heading[frame, animal]
            cos, sin = np.cos(heading), np.sin(heading)
            turn = np.array([[cos, -sin], [sin, cos]])
            thorax = sample.points[frame, animal, sample.skeleton.index("thorax")]
            offset = np.array(hinge) - (0.13, 0)
            pivot = thorax + turn @ offset * sample.body_length_px[animal]
            outward = (tip - pivot) / np.linalg.norm(tip - pivot)
            if is_inside(sample, tip):
                mask = sample.video.part_mask(frame, animal, part)
                mask /= (
                    mask.max()
                    if inner
                    else max(
                        map_coordinates(mask, (tip - 3 * outward)[::-1, None], order=1)[0], 1e-9
                    )
                )
                assert abs(find_rim(mask, tip, outward)) < (0.1 if inner else 0.5)


@pytest.mark.parametrize("species", SPECIES.names())
def test_feet_end_at_their_points(species: str) -> None:
    """A limb ends in a round cap about its tip, so the rim is one radius farther out."""
    sample = make_sample(n_frames=320, species=species, size=(900, 900), body_length_px=400)
    bones = {bone.name: bone for bone in sample.species.bones}
    for frame in FRAMES[::2]:
        for animal in (0, 1):
            for anchor in sample.species.anchors:
                point = sample.points[frame, animal, sample.skeleton.index(anchor.node)]
                bone = bones.get(anchor.owner)
                if bone is None or anchor.vertex != bone.stop or not is_inside(sample, point):
                    continue
                mask = sample.video.part_mask(frame, animal, anchor.owner)
                outward = point - find_centroid(mask)
                outward /= np.linalg.norm(outward)
                radius = bone.radii[1] * sample.body_length_px[animal]
                assert find_rim(mask, point, outward) == pytest.approx(radius, abs=0.1)


def test_visibility_matches_the_order_of_drawing(sample: Sample) -> None:
    species, checked = sample.species, {1: 0, 2: 0}
    parts = [*species.bones, *(shape for shape in species.shapes if shape.opaque)]
    n_hidden = (sample.visibility == Visibility.OCCLUDED).sum((1, 2))
    for frame in (*np.argsort(n_hidden)[-90::30], 40):
        masks = {
            (animal, part.name): sample.video.part_mask(frame, animal, part.name)
            for animal in (0, 1)
            for part in parts
        }
        for animal, node in np.ndindex(2, len(sample.skeleton)):
            point = sample.points[frame, animal, node]
            if sample.visibility[frame, animal, node] == Visibility.MISSING:
                continue
            rank = species.draw_order[species.anchors[node].owner]
            above = [
                float(map_coordinates(mask, point[::-1, None], order=1, mode="nearest")[0])
                for (other, part), mask in masks.items()
                if other > animal or (other == animal and species.draw_order[part] > rank)
            ]
            covered = max(above, default=0.0)
            if not 0.1 < covered < 0.9:  # at a rim the answer hangs on a hundredth of a px
                expected = Visibility.OCCLUDED if covered > 0.5 else Visibility.VISIBLE
                assert sample.visibility[frame, animal, node] == expected
                checked[int(expected)] += 1
    assert checked[1] > 5
    assert checked[2] > 20


def test_wings_hide_nothing() -> None:
    sample = make_sample(n_frames=200, n_animals=1)
    abdomen = sample.visibility[:, 0, sample.skeleton.index("abdomen")]
    assert (abdomen == Visibility.VISIBLE).all()


@pytest.mark.parametrize("n_animals", [1, 2, 5, 10, 20])
def test_table_holds_every_animal(n_animals: int) -> None:
    sample = make_sample(n_frames=30, n_animals=n_animals)
    poses = sample.poses
    assert sample.video[29].shape == (384, 384, 1)
    assert len(poses) == 30 * n_animals
    assert poses.track_names == tuple(f"fly {n + 1}" for n in range(n_animals))
    assert (poses.at(0, 17).track == np.arange(n_animals)).all()
    assert (poses.origin == Origin.USER).all()
    assert sample.behavior.shape == (30, n_animals)
    row = poses.at(0, 17).xy
    seen = ~np.isnan(row)
    assert np.array_equal(row[seen], sample.points[17].astype(np.float32)[seen])
    lengths = sample.body_length_px
    assert (lengths >= 12).all()
    # all animals side by side would cover less than half of the arena
    assert 0.3 * (lengths**2).sum() < 0.5 * 384**2


def test_body_length_is_what_was_asked_for() -> None:
    sample = make_sample(
        n_frames=60, n_animals=1, size=(400, 500), body_length_px=150, individual_differences=0
    )
    head, abdomen = (sample.skeleton.index(name) for name in ("head", "abdomen"))
    length = np.linalg.norm(sample.points[:, 0, head] - sample.points[:, 0, abdomen], axis=-1)
    assert length == pytest.approx(150 * (0.28 + 0.105 + 0.02 + 0.475), rel=0.02)


@settings(max_examples=8)
@given(
    species=st.sampled_from(SPECIES.names()),
    size=st.tuples(st.integers(32, 160), st.integers(32, 160)),
    n_animals=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    length=st.none() | st.floats(12, 80),
)
def test_points_are_missing_exactly_outside_the_frame(
    species: str, size: tuple[int, int], n_animals: int, seed: int, length: float | None
) -> None:
    sample = make_sample(
        n_frames=25,
        n_animals=n_animals,
        size=size,
        species=species,
        seed=seed,
        body_length_px=length,
    )
    assert np.isfinite(sample.points).all()
    x, y = np.moveaxis(sample.points, -1, 0)
    inside = (x >= -0.5) & (x <= size[1] - 0.5) & (y >= -0.5) & (y <= size[0] - 0.5)
    assert np.array_equal(sample.visibility != Visibility.MISSING, inside)
    assert np.array_equal(np.isfinite(sample.poses.xy).all(-1), inside[inside.any(-1)])
    assert sample.video[24].shape == (*size, 1)


def test_skeletons_are_trees_with_mirrored_sides() -> None:
    for name in SPECIES.names():
        skeleton = SPECIES.get(name).skeleton
        assert skeleton.is_forest
        assert len(skeleton.edges) == len(skeleton) - 1
        left = {node for node in skeleton.nodes if "L" in node}
        assert {skeleton.nodes[a] for a, _ in skeleton.symmetries} == left
        assert all(
            skeleton.nodes[b] == skeleton.nodes[a].replace("L", "R") for a, b in skeleton.symmetries
        )
