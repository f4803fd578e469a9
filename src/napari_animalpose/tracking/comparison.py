"""Every instance of a frame beside every track that may be it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import TrackConfig
from napari_animalpose.tracking.costs import Pairs, combine_costs, square_shifts
from napari_animalpose.tracking.motion import MotionScale
from napari_animalpose.tracking.table import TrackTable

__all__ = ["Candidates", "compare_instances", "compare_tracks"]

Floats = NDArray[np.float64]


class Candidates(NamedTuple):
    """Poses that tracks expect in a frame.

    Parameters
    ----------
    xy : array of float64, shape (C, K, 2)
        (x, y) in px; NaN = missing.
    track : array of intp, shape (C,)
        Row of the table of tracks.
    growth : array of float64, shape (C,)
        How much wider its spread is than one frame after the animal was seen.
    """

    xy: Floats
    track: NDArray[np.intp]
    growth: Floats


def compare_instances(
    xy: Floats,
    classes: Floats | None,
    candidates: Candidates,
    track_classes: Floats | None,
    n_tracks: int,
    motion: MotionScale,
    config: TrackConfig,
) -> tuple[Floats, Floats]:
    """Return the cost of every instance with every track.

    Only pairs within the gate are looked at closely: among many animals, each has few
    neighbours. Of several candidates of one track the cheapest counts.

    Parameters
    ----------
    xy : array of float64, shape (I, K, 2)
        Instances of one point at least.
    classes : array of float64, shape (I, A), optional
    candidates : Candidates
    track_classes : array of float64, shape (T, A), optional
    n_tracks : int
        T.
    motion : MotionScale
    config : TrackConfig

    Returns
    -------
    cost : array of float64, shape (I, T)
        inf beyond the gate.
    surprise : array of float64, shape (I, T)
        `Pairs.surprise` of that pair; NaN beyond the gate and where no point is shared.

    Notes
    -----
    The density of a wide expectation is low everywhere: a track seen a frame ago and one
    lost for long, both near an instance, are told apart by ``log(spread^2)``. It is bounded
    by half of what the gate costs, so that long gaps do not close the gate.
    """
    spread = motion.spread_px * candidates.growth
    reach = config.gate_spreads * spread
    shift2 = square_shifts(xy, candidates.xy)
    instance, chosen = np.nonzero(shift2 <= reach**2)
    cost = np.full((len(xy), n_tracks), np.inf)
    surprise = np.full(cost.shape, np.nan)
    track = candidates.track[chosen]
    known = classes is not None and track_classes is not None
    pairs = Pairs(
        seen=xy[instance],
        expected=candidates.xy[chosen],
        spread_px=spread[chosen],
        seen_class=classes[instance] if known and classes is not None else None,
        expected_class=track_classes[track] if known and track_classes is not None else None,
        known_shift2=shift2[instance, chosen],
    )
    growth = candidates.growth[chosen]
    limit = np.log1p(config.gate_spreads**2 / 2.0)
    values = combine_costs(pairs, config.costs)
    values += np.minimum(np.maximum(2.0 * np.log(growth), 0.0), limit / 2.0)
    order = np.argsort(-values, kind="stable")  # the cheapest is written last
    cost[instance[order], track[order]] = values[order]
    surprise[instance[order], track[order]] = pairs.surprise[order]
    surprise[np.isinf(cost)] = np.nan
    return cost, surprise


def compare_tracks(
    tracks: TrackTable,
    seen: NDArray[np.intp],
    lost: NDArray[np.intp],
    motion: MotionScale,
    config: TrackConfig,
) -> tuple[Floats, Floats]:
    """Return how unlikely it is that tracks seen now are tracks lost before.

    The same costs as from frame to frame, of the last poses, with the spread of the whole
    gap: after a long time the place says little, and what else is known decides.

    Returns
    -------
    cost : array of float64, shape (S, L)
    distance : array of float64, shape (S, L)
        Between the last poses, in body lengths.
    """
    new, old = (side.ravel() for side in np.meshgrid(seen, lost, indexing="ij"))
    gap = tracks["last"][new] - tracks["last"][old]
    has_classes = tracks["classes"].shape[1] > 0
    pairs = Pairs(
        seen=tracks["xy"][new],
        expected=tracks["xy"][old],
        spread_px=motion.spread_px * motion.growth(gap),
        seen_class=tracks["classes"][new] if has_classes else None,
        expected_class=tracks["classes"][old] if has_classes else None,
    )
    shape = len(seen), len(lost)
    length = motion.body_length_px or np.inf
    distance = np.sqrt(pairs.shift2) / length
    return combine_costs(pairs, config.costs).reshape(shape), distance.reshape(shape)
