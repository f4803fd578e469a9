"""Movement: feet that stand still, tripods, rhythms, bouts, walls and meetings."""

from __future__ import annotations

import numpy as np
import pytest

from napari_animalpose.sample import SPECIES, Sample, make_sample
from napari_animalpose.sample.plan import WALK

NAMES = SPECIES.names()


@pytest.fixture(scope="module", params=NAMES)
def sample(request: pytest.FixtureRequest) -> Sample:
    return make_sample(n_frames=3000, species=request.param)


def find_runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return (first, stop) of every run of True."""
    edges = np.diff(flags.astype(int), prepend=0, append=0)
    return list(
        zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
    )


def find_tip(sample: Sample, leg: str) -> int:
    names = sample.skeleton.nodes
    return names.index(leg if leg in names else f"{leg}_tip")


def to_body(sample: Sample, node: str, frames: slice, animal: int) -> np.ndarray:
    """Return a node's (u, v) in body lengths, relative to the trunk."""
    trunk = "thorax" if "thorax" in sample.skeleton.nodes else "trunk"
    index = [sample.skeleton.index(name) for name in (node, trunk)]
    away = np.subtract(*np.moveaxis(sample.points[frames, animal][:, index], 1, 0))
    angle = sample.heading[frames, animal].astype(float)
    forward = np.stack([np.cos(angle), np.sin(angle)], -1)
    right = np.stack([-np.sin(angle), np.cos(angle)], -1)
    return (
        np.stack([(away * forward).sum(-1), (away * right).sum(-1)], -1)
        / sample.body_length_px[animal]
    )


def find_rhythm(signal: np.ndarray, fps: float) -> float:
    """Return the strongest frequency above 2.5 Hz of a signal (F,), in Hz."""
    signal = (signal - signal.mean()) * np.hanning(len(signal))
    power = np.abs(np.fft.rfft(signal, 4096))
    hz = np.fft.rfftfreq(4096, 1 / fps)
    return float(hz[hz > 2.5][power[hz > 2.5].argmax()])


def test_standing_feet_do_not_move(sample: Sample) -> None:
    n_stances = 0
    for animal in (0, 1):
        for number, leg in enumerate(sample.leg_names):
            path = sample.points[:, animal, find_tip(sample, leg)]
            for first, stop in find_runs(sample.stance[:, animal, number]):
                assert np.ptp(path[first:stop], axis=0).max() < 0.01
                n_stances += 1
    assert n_stances > 300


def test_bodies_move_over_standing_feet() -> None:
    sample = make_sample(n_frames=1500)
    walking = sample.behavior[1:] == WALK
    moved = np.linalg.norm(np.diff(sample.points[:, :, 3], axis=0), axis=-1)
    assert np.median(moved[walking]) > 1.0
    assert (sample.stance[1:][walking].sum(-1) >= 3).all()


@pytest.mark.parametrize(
    ("species", "group"),
    [
        ("fly", {"forelegL", "midlegR", "hindlegL"}),
        ("mouse", {"forepawL", "hindpawR"}),
    ],
)
def test_legs_step_in_two_alternating_groups(species: str, group: set[str]) -> None:
    sample = make_sample(n_frames=2000, species=species)
    first = [leg in group for leg in sample.leg_names]
    second = [not member for member in first]
    walking = sample.stance[sample.behavior == WALK]
    for members in (first, second):
        assert (walking[:, members] == walking[:, members][:, :1]).all()
    # never both groups in the air, and each about as often as the other
    swings = [~walking[:, members].all(1) for members in (first, second)]
    assert not (swings[0] & swings[1]).any()
    assert 0.2 < swings[0].mean() < 0.5
    assert swings[0].mean() == pytest.approx(swings[1].mean(), abs=0.05)
    # in antiphase: within a walk the groups take turns to lift off
    for animal in (0, 1):
        for begin, stop in find_runs(sample.behavior[:, animal] == WALK):
            feet = sample.stance[begin:stop, animal][:, [first.index(True), first.index(False)]]
            frames, groups = np.nonzero(np.diff(feet.astype(int), axis=0) == -1)
            assert (np.diff(groups) != 0).all()
            assert (np.diff(frames) > 0).all()


def test_faster_walks_have_faster_strides() -> None:
    sample = make_sample(n_frames=6000, n_animals=1, size=(512, 512))
    speeds, rates = [], []
    for first, stop in find_runs(sample.behavior[:, 0] == WALK):
        cut = slice(first + 10, stop - 10)
        touchdowns = np.flatnonzero(np.diff(sample.stance[cut, 0, 0].astype(int)) == 1)
        if len(touchdowns) > 4:
            rates.append((len(touchdowns) - 1) / np.ptp(touchdowns) * sample.fps)
            path = sample.points[cut, 0, sample.skeleton.index("thorax")]
            speeds.append(np.linalg.norm(np.diff(path, axis=0), axis=1).mean())
    assert len(rates) > 12
    assert 5.9 < min(rates) < max(rates) < 12.5
    assert np.corrcoef(speeds, rates)[0, 1] > 0.7


@pytest.mark.parametrize(
    ("species", "behavior", "nodes", "low", "high"),
    [
        ("fly", "groom_front", ("forelegL_tip", "forelegR_tip"), 5.5, 7.5),
        ("fly", "groom_hind_left", ("hindlegL_tip",), 4.2, 5.6),
        ("fly", "groom_hind_right", ("hindlegR_tip",), 4.2, 5.6),
        ("fly", "wing_extension", ("wingL", "wingR"), 10.0, 12.0),
        ("mouse", "groom_front", ("forepawL",), 5.0, 7.0),
        ("mouse", "scratch_left", ("hindpawL",), 8.5, 11.0),
        ("mouse", "scratch_right", ("hindpawR",), 8.5, 11.0),
    ],
)
def test_rhythms_lie_in_their_bands(
    species: str, behavior: str, nodes: tuple[str, ...], low: float, high: float
) -> None:
    sample = make_sample(n_frames=3000, species=species)
    role = sample.behavior_names.index(behavior)
    found = 0
    for animal in (0, 1):
        for first, stop in find_runs(sample.behavior[:, animal] == role):
            cut = slice(first + 6, stop - 6)
            if stop - first > 50:
                tracks = [to_body(sample, node, cut, animal)[:, 0] for node in nodes]
                signal = tracks[0] - tracks[1] if len(tracks) == 2 else tracks[0]
                assert low - 0.3 < find_rhythm(signal, sample.fps) < high + 0.3
                found += 1
    assert found > 1


@pytest.mark.parametrize("species", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_every_animal_does_everything_in_half_a_minute(species: str, seed: int) -> None:
    sample = make_sample(n_frames=1500, species=species, seed=seed)
    for animal in (0, 1):
        assert set(sample.behavior[:, animal]) == set(range(len(sample.behavior_names)))


def test_bouts_last_as_long_as_bouts_do(sample: Sample) -> None:
    for role, spec in enumerate(sample.species.behaviors):
        runs = [
            run
            for animal in (0, 1)
            for run in find_runs(sample.behavior[:, animal] == role)
            if run[0] > 0 and run[1] < sample.config.n_frames
        ]
        lengths = np.array([stop - first for first, stop in runs]) / sample.fps
        assert len(lengths) > 5
        assert lengths.min() >= min(spec.duration_s[1], 0.5) - 0.02
        assert spec.duration_s[1] < np.median(lengths) < spec.duration_s[2]


def test_bodies_stand_unless_they_walk(sample: Sample) -> None:
    trunk = 3 if sample.species.name == "fly" else sample.skeleton.index("trunk")
    for animal in (0, 1):
        for role, spec in enumerate(sample.species.behaviors):
            if role == WALK or spec.name == "rear":
                continue
            for first, stop in find_runs(sample.behavior[:, animal] == role):
                path = sample.points[first:stop, animal, trunk]
                assert np.ptp(path, axis=0).max() < 0.05 * sample.body_length_px[animal]


def test_identities_move_without_jumps(sample: Sample) -> None:
    steps = np.linalg.norm(np.diff(sample.points, axis=0), axis=-1) / sample.body_length_px[:, None]
    trunk = 3 if sample.species.name == "fly" else sample.skeleton.index("trunk")
    top = sample.species.locomotion.speed[1] / sample.fps
    assert steps[..., trunk].max() < 1.3 * top + 0.01
    assert steps.max() < 0.4


def test_animals_stay_in_the_arena(sample: Sample) -> None:
    trunk = 3 if sample.species.name == "fly" else sample.skeleton.index("trunk")
    margin = 0.25 * sample.body_length_px.min()
    assert sample.points[:, :, trunk].min() > margin
    assert sample.points[:, :, trunk].max() < 383 - margin
    assert (sample.visibility > 0).mean() > 0.93


def test_animals_meet_and_cross(sample: Sample) -> None:
    trunk = 3 if sample.species.name == "fly" else sample.skeleton.index("trunk")
    gap = np.linalg.norm(np.diff(sample.points[:, :, trunk], axis=1)[:, 0], axis=-1)
    length = sample.body_length_px.mean()
    assert len(find_runs(gap < 0.5 * length)) >= 5  # in a minute
    assert (gap < 0.5 * length).mean() < 0.35
    assert (gap > length).mean() > 0.3


@pytest.mark.parametrize("fps", [20.0, 100.0, 200.0])
def test_other_frame_rates_keep_the_rules(fps: float) -> None:
    sample = make_sample(n_frames=600, fps=fps, size=(256, 256))
    for animal in (0, 1):
        for number, leg in enumerate(sample.leg_names):
            path = sample.points[:, animal, find_tip(sample, leg)]
            for first, stop in find_runs(sample.stance[:, animal, number]):
                assert np.ptp(path[first:stop], axis=0).max() < 0.01
