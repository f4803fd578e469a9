"""Exact tracks broken on purpose, with the truth kept beside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_animalpose.data.poses import Origin, Poses

__all__ = ["Broken", "break_tracks", "share_rejoined"]


@dataclass(frozen=True)
class Broken:
    """Fragments as a tracker would leave them, and who they are.

    `poses` has one track for each fragment; `animal` (N,) is the true identity of its rows
    and `successions` (S, 2) the pairs of tracks between which there is a gap.
    """

    poses: Poses
    animal: np.ndarray
    successions: np.ndarray


def break_tracks(
    truth: Poses,
    *,
    seed: int = 0,
    longest_gap: int = 50,
    mean_length: float = 100.0,
    noise_px: float = 0.0,
) -> Broken:
    """Cut every track of one video at random, with gaps of 1 to `longest_gap` frames."""
    rng = np.random.default_rng(seed)
    keep = np.zeros(len(truth), bool)
    fragment = np.full(len(truth), -1)
    successions, n_fragments = [], 0
    for animal in range(len(truth.track_names)):
        rows = np.flatnonzero(truth.track == animal)
        place = 0
        previous = -1
        while place < len(rows):
            stop = place + 5 + int(rng.exponential(mean_length))
            keep[rows[place:stop]] = True
            fragment[rows[place:stop]] = n_fragments
            if previous >= 0:
                successions.append((previous, n_fragments))
            previous, n_fragments = n_fragments, n_fragments + 1
            place = stop + int(rng.integers(1, longest_gap + 1))
    order = rng.permutation(n_fragments)  # so that numbers say nothing
    xy = truth.xy + rng.normal(0, noise_px, truth.xy.shape).astype(np.float32)
    broken = truth.replace(
        xy=xy,
        visibility=truth.visibility,
        track=np.where(keep, order[fragment], -1),
        origin=Origin.PREDICTED,
        track_names=[f"fragment {i}" for i in range(n_fragments)],
    )
    pairs = order[np.array(successions, int).reshape(-1, 2)]
    return Broken(broken.select(keep), truth.track[keep], pairs)


def share_rejoined(broken: Broken, stitched: Poses) -> float:
    """Share of the gaps on both sides of which a fragment has one track, as it should."""
    assert len(stitched) == len(broken.poses)
    new = np.full(len(broken.poses.track_names), -1)
    new[broken.poses.track] = stitched.track
    before, after = new[broken.successions].T
    return float(((before == after) & (before >= 0)).mean())
