"""Errors planted into exact poses, with the places where they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.review import Findings
from napari_animalpose.sample import make_sample

__all__ = ["Planted", "make_predictions", "plant", "score_findings"]


class Planted(NamedTuple):
    """One error: what it is, and the frames and tracks that it concerns."""

    kind: str
    first: int
    last: int
    tracks: frozenset[int]  # empty = the whole frame


def make_predictions(
    n_frames: int = 1500, n_animals: int = 2, seed: int = 0, jitter_px: float = 0.7
) -> Poses:
    """Return the exact poses of a sample, jittered, as predictions with high scores."""
    truth = make_sample(n_frames=n_frames, n_animals=n_animals, seed=seed).poses
    rng = np.random.default_rng(seed)
    xy = truth.xy + rng.normal(0, jitter_px, truth.xy.shape)
    return truth.replace(
        xy=xy,
        visibility=truth.visibility,
        origin=Origin.PREDICTED,
        point_score=rng.uniform(0.8, 1.0, truth.visibility.shape),
        score=rng.uniform(0.8, 1.0, len(truth)),
    )


def plant(
    poses: Poses, counts: dict[str, int], seed: int = 0, spacing: int = 25, min_apart_px: float = 30
) -> tuple[Poses, list[Planted]]:
    """Plant errors of some kinds, far enough apart in time to be told from each other.

    Parameters
    ----------
    poses : Poses
        Of one video, every animal in every frame.
    counts : dict of str to int
        How many of each of the kinds switch, jump, flip, count and limb.
    seed : int
    spacing : int
        Least number of frames between two errors.
    min_apart_px : float
        Two animals whose names are exchanged are at least so far apart: nearer, names and
        places say nothing.
    """
    rng = np.random.default_rng([seed, 1])
    xy, track = poses.xy.copy(), poses.track.copy()
    keep = np.ones(len(poses), bool)
    planted: list[Planted] = []
    last_frame = int(poses.frame[-1])
    frames = rng.permutation(np.arange(spacing, last_frame - spacing, spacing)).tolist()
    switches = _choose_switches(poses, frames, counts.get("switch", 0), rng, min_apart_px)
    for frame, a, b in sorted(switches):  # in order of time: each renames what comes after
        planted.append(_plant_switch(poses, track, frame, a, b))
    for kind in np.repeat(list(_PLANTERS), [counts.get(kind, 0) for kind in _PLANTERS]):
        error = None
        while error is None:
            frame = frames.pop() + int(rng.integers(0, spacing // 3))
            error = _PLANTERS[kind](poses, xy, track, keep, frame, rng)
        planted.append(error)
    changed = poses.replace(xy=xy, track=track)
    return changed.select(keep), planted


def score_findings(
    findings: Findings, planted: list[Planted], kind: str | None = None, tolerance: int = 2
) -> tuple[float, float]:
    """Return precision and recall; `kind` = only planted errors and findings of that kind.

    A finding is right if an error overlaps it, give or take `tolerance` frames, and they
    concern a common track or one of them the whole frame. An error of any kind makes it
    right: a switch is also a leap.
    """
    mine = findings if kind is None else findings.of_kind(kind)
    right = [
        any(_match(mine, row, error, tolerance) for error in planted) for row in range(len(mine))
    ]
    found = [
        any(_match(mine, row, error, tolerance) for row in range(len(mine)))
        for error in planted
        if kind is None or error.kind == kind
    ]
    return float(np.mean(right)) if right else 1.0, float(np.mean(found)) if found else 1.0


def _match(findings: Findings, row: int, error: Planted, tolerance: int) -> bool:
    first, last = int(findings.first[row]), int(findings.last[row])
    overlap = first - tolerance <= error.last and error.first <= last + tolerance
    tracks = {int(findings.track[row]), int(findings.other_track[row])} - {-1}
    return overlap and (not tracks or not error.tracks or bool(tracks & error.tracks))


def _rows(poses, frame):
    return np.flatnonzero(poses.frame == frame)


def _choose_switches(poses, frames, count, rng, min_apart_px):
    """Take frames from the list, and two rows in each that are far enough apart."""
    chosen = []
    while len(chosen) < count:
        frame = frames.pop()
        a, b = rng.permutation(_rows(poses, frame))[:2].tolist()
        if np.nanmedian(np.hypot(*(poses.xy[a] - poses.xy[b]).T)) >= min_apart_px:
            chosen.append((frame, a, b))
    return chosen


def _plant_switch(poses, track, frame, a, b):
    """Exchange the names of two animals, given by their rows, from a frame on."""
    names = int(track[a]), int(track[b])
    later = poses.frame >= frame
    was = track.copy()
    track[later & (was == names[0])] = names[1]
    track[later & (was == names[1])] = names[0]
    return Planted("switch", frame, frame, frozenset(names))


def _plant_jump(poses, xy, track, keep, frame, rng):
    """Move one point by a third to two thirds of a body, in one frame."""
    row = int(rng.choice(_rows(poses, frame)))
    node = int(rng.choice(np.flatnonzero(~np.isnan(xy[row, :, 0]))))
    angle, size = rng.uniform(0, 2 * np.pi), _body(poses) * rng.uniform(0.33, 0.66)
    xy[row, node] += size * np.array([np.cos(angle), np.sin(angle)])
    return Planted("jump", frame, frame, frozenset({int(track[row])}))


def _plant_limb(poses, xy, track, keep, frame, rng):
    """Stretch one limb at its end to two or three times its length, in ten frames."""
    a, b = poses.skeleton.edges[int(rng.integers(len(poses.skeleton.edges)))]
    name = int(rng.choice(track[_rows(poses, frame)]))
    rows = np.flatnonzero((poses.frame >= frame) & (poses.frame < frame + 10) & (track == name))
    length = np.nanmedian(np.hypot(*(xy[rows, b] - xy[rows, a]).T))
    if not length > 0.15 * _body(poses):
        return None
    xy[rows, b] = xy[rows, a] + rng.uniform(2, 3) * (xy[rows, b] - xy[rows, a])
    return Planted("limb", frame, frame + 9, frozenset({name}))


def _plant_flip(poses, xy, track, keep, frame, rng):
    """Exchange left and right of one animal in one to eight frames."""
    name, length = int(rng.choice(track[_rows(poses, frame)])), int(rng.integers(1, 9))
    rows = np.flatnonzero((poses.frame >= frame) & (poses.frame < frame + length) & (track == name))
    xy[rows] = xy[rows][:, poses.skeleton.flip_order]
    return Planted("flip", frame, frame + length - 1, frozenset({name}))


def _plant_count(poses, xy, track, keep, frame, rng):
    """Take one animal out of three frames."""
    name = int(rng.choice(track[_rows(poses, frame)]))
    keep[(poses.frame >= frame) & (poses.frame < frame + 3) & (track == name)] = False
    return Planted("count", frame, frame + 2, frozenset())


def _body(poses):
    low, high = np.nanmin(poses.xy, axis=1), np.nanmax(poses.xy, axis=1)
    return float(np.median(np.hypot(*(high - low).T)))


_PLANTERS = {
    "jump": _plant_jump,
    "flip": _plant_flip,
    "count": _plant_count,
    "limb": _plant_limb,
}
