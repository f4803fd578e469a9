"""Left and right exchanged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.episodes import report_rows
from napari_animalpose.review.evidence import Evidence, infer_symmetries
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.robust import estimate_tail, median_of_present, median_or

__all__ = ["find_flips"]

_WEIGHT = 0.8
_RATIO = 0.5  # the ways after exchanging a pair, as a share of those before, at most
_LEAST_APART = 0.5  # of the usual distance of the pair: nearer, sides mean little
_LEAST_BODIES = 0.08  # body lengths by which exchanging must shorten the ways
_CONSISTENT = 0.9  # share of instances with the usual side, from which sides are believed

Floats = NDArray[np.float64]
Pair = tuple[int, int]


def find_flips(evidence: Evidence) -> Findings:
    """Return instances in which a symmetric pair fits better exchanged.

    Two things speak for it. In time, a pair is exchanged from a frame on if, relative to
    the body, both points are much nearer to where the other one was; between two such
    frames the side that the animal shows less often is the wrong one. In space, seen from
    above, each point of a pair keeps to its side of the body's axis: one that does not is
    suspected in every frame, however long it lasts. Pairs that change sides now and then,
    as in side views, are judged in time alone.

    Notes
    -----
    Where the skeleton names no symmetries, names of nodes with left and right tell them.
    """
    pairs = infer_symmetries(evidence.skeleton.nodes, evidence.skeleton.symmetries)
    excess = np.zeros((len(evidence), max(len(pairs), 1)))
    axis = _find_axis(evidence, pairs)
    for column, pair in enumerate(pairs):
        in_time = _judge_in_time(evidence, pair)
        in_space = np.zeros(len(evidence)) if axis is None else _judge_sides(evidence, pair, axis)
        excess[:, column] = np.maximum(in_time, in_space)
    worst = excess.argmax(axis=1)
    node = np.array([a for a, _ in pairs] or [-1])[worst]

    def describe(row: int, n_rows: int) -> str:
        a, b = (evidence.skeleton.nodes[n] for n in pairs[worst[row]])
        n_pairs = int((excess[row] >= 1).sum())
        more = f", like {n_pairs - 1} more pairs" if n_pairs > 2 else ""
        again = f", in {n_rows} frames" if n_rows > 1 else ""
        return (
            f"{a!r} and {b!r} of {evidence.name_track(row)} seem to be exchanged, left for "
            f"right{more}{again}."
        )

    return report_rows(evidence, "flip", _WEIGHT, excess.max(axis=1), describe, node=node)


# ------------------------------------------------------------------------------- in time
def _judge_in_time(evidence: Evidence, pair: Pair) -> Floats:
    """Return how surely a pair is exchanged in every row, as multiples of a limit, (N,)."""
    gain = _measure_gain(evidence, pair)
    excess = np.zeros(len(evidence))
    order, previous = evidence.order, evidence.previous
    turns = gain[order] >= 1
    begins = previous[order] < 0  # a gap: what was before says nothing about what follows
    stretch = np.cumsum(begins)  # numbered from 1
    segment = np.cumsum(begins | turns) - 1
    n_segments = int(segment[-1]) + 1 if len(segment) else 0
    if not turns.any():
        return excess
    length = np.bincount(segment, minlength=n_segments)
    first = np.searchsorted(segment, np.arange(n_segments))
    of_stretch = stretch[first]
    turned = np.cumsum(turns)[first]
    side = (turned - turned[np.searchsorted(of_stretch, of_stretch)]) % 2
    total = np.zeros((int(stretch[-1]) + 1, 2))
    for value in (0, 1):
        mine = side == value
        total[:, value] = np.bincount(of_stretch[mine], length[mine], minlength=len(total))
    minority = total[of_stretch, side] < total[of_stretch, 1 - side]
    minority |= (total[of_stretch, 0] == total[of_stretch, 1]) & (side == 1)
    # A stretch is as suspicious as its more doubtful end; one that a gap ends has one end.
    at_start = np.where(turns[first], gain[order[first]], np.inf)
    at_end = np.append(at_start[1:], np.inf)
    at_end[np.append(of_stretch[1:] != of_stretch[:-1], True)] = np.inf
    sure = np.minimum(at_start, at_end)
    sure[~minority | np.isinf(sure)] = 0.0
    excess[order] = sure[segment]
    return excess


def _measure_gain(evidence: Evidence, pair: Pair) -> Floats:
    """Return by how much exchanging a pair shortens its ways from the row before, (N,).

    In multiples of the least that is believed; 0 where it does not shorten them clearly.
    """
    previous, xy = evidence.previous, evidence.poses.xy
    body = median_of_present(evidence.steps(previous), axis=1)[:, None].astype(np.float32)
    now, before = xy[:, pair], xy[previous][:, pair] + body
    before[previous < 0] = np.nan
    straight = np.hypot(*np.moveaxis(now - before, -1, 0))  # (N, 2)
    crossed = np.hypot(*np.moveaxis(now - before[:, ::-1], -1, 0))
    way, other_way = straight.sum(axis=1), crossed.sum(axis=1)
    usual = evidence.config.threshold_sd * estimate_tail(straight, dimensions=2)
    apart = np.hypot(*(now[:, 0] - now[:, 1]).T)
    least = _LEAST_APART * median_or(apart, 0.0)
    limit = max(float(np.minimum(usual, 4 * least)), least, _LEAST_BODIES * evidence.body_px)
    gain = np.where(other_way < _RATIO * way, (way - other_way) / limit, 0.0)
    return np.asarray(np.nan_to_num(gain), np.float64)


# ------------------------------------------------------------------------------ in space
def _find_axis(evidence: Evidence, pairs: list[Pair]) -> Floats | None:
    """Return the body's axis in every row as a unit vector, (N, 2); None if it has none.

    It joins the two places farthest from each other among the nodes without a partner and
    the middles of pairs: none of these move when sides are exchanged.
    """
    paired = {node for pair in pairs for node in pair}
    xy = evidence.poses.xy.astype(np.float64)
    places = [xy[:, node] for node in range(xy.shape[1]) if node not in paired]
    places += [(xy[:, a] + xy[:, b]) / 2 for a, b in pairs]
    places = [place for place in places if np.isnan(place[:, 0]).mean() < 0.5]
    best, axis = 0.2 * evidence.body_px, None
    for i, tail in enumerate(places):
        for head in places[i + 1 :]:
            length = median_or(np.hypot(*(head - tail).T), 0.0)
            if length > best:
                best, axis = length, head - tail
    if axis is None:
        return None
    return np.asarray(axis / np.maximum(np.hypot(*axis.T), 1e-6)[:, None])


def _judge_sides(evidence: Evidence, pair: Pair, axis: Floats) -> Floats:
    """Return how surely a pair lies on the wrong sides, as multiples of a limit, (N,)."""
    xy = evidence.poses.xy
    across = (xy[:, pair[0]] - xy[:, pair[1]]).astype(np.float64)
    side = axis[:, 0] * across[:, 1] - axis[:, 1] * across[:, 0]
    usual = median_or(side, 0.0)
    known = side[np.isfinite(side)]
    share = float(np.mean(np.sign(known) == np.sign(usual))) if len(known) else 0.0
    if share < _CONSISTENT or abs(usual) < _LEAST_BODIES * evidence.body_px:
        return np.zeros(len(evidence))
    side, usual = side * np.sign(usual), abs(usual)
    gain = np.abs(side - usual) - np.abs(side + usual)  # exchanging changes the sign
    scale = estimate_tail(np.where(side < usual, usual - side, np.nan))
    limit = max(float(np.minimum(evidence.config.threshold_sd * scale, usual)), 1e-6)
    return np.asarray(np.nan_to_num(np.maximum(gain / limit, 0.0)), np.float64)
