"""Limbs that are much longer or shorter than they usually are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.episodes import report_rows
from napari_animalpose.review.evidence import Evidence
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.robust import estimate_tail, median_of_present

__all__ = ["find_odd_limbs", "measure_log_lengths"]

_WEIGHT = 0.7
_LEAST_LOG = 0.03  # 3 %: no limb is known better
_LEAST_BODIES = 0.08  # body lengths: a smaller difference is not worth a look
_MIN_ROWS = 30  # instances of one animal that make its own standard


def find_odd_limbs(evidence: Evidence) -> Findings:
    """Return instances with an edge of an unusual length.

    The logarithm of each length is compared with its median in the same animal, where
    that has enough instances, and otherwise in all. Limbs that point towards the camera
    look short, so that longer and shorter have scales of their own.
    """
    edges = evidence.skeleton.edge_array
    if not len(edges):
        return report_rows(evidence, "limb", _WEIGHT, np.zeros(len(evidence)), lambda r, n: "")
    log_length = measure_log_lengths(evidence)
    usual = _find_usual(evidence, log_length)
    off = log_length - usual
    score = np.zeros_like(off)
    for sign in (1.0, -1.0):
        side = np.where(sign * off > 0, sign * off, np.nan)
        scale = np.maximum(estimate_tail(side, axis=0), _LEAST_LOG)
        score = np.fmax(score, side / scale)
    visible = np.abs(np.exp(log_length) - np.exp(usual)) / (_LEAST_BODIES * evidence.body_px)
    excess = np.nan_to_num(np.minimum(score / evidence.config.threshold_sd, visible))
    edge = excess.argmax(axis=1)
    node = _blame_node(excess, edge, edges, evidence.poses.n_nodes)

    def describe(row: int, n_rows: int) -> str:
        a, b = (evidence.skeleton.nodes[n] for n in edges[edge[row]])
        times = np.exp(off[row, edge[row]])
        again = f", in {n_rows} frames" if n_rows > 1 else ""
        return (
            f"The limb from {a!r} to {b!r} of {evidence.name_track(row)} has {times:.2f} times "
            f"its usual length{again}."
        )

    worst = excess.max(axis=1)
    return report_rows(evidence, "limb", _WEIGHT, worst, describe, node=node)


def measure_log_lengths(evidence: Evidence) -> NDArray[np.float64]:
    """Return the logarithm of the length in px of every edge, NaN = missing, (N, E).

    Lengths below a hundredth of a body count as that: two points on one pixel are short,
    not infinitely so.
    """
    edges, xy = evidence.skeleton.edge_array, evidence.poses.xy
    limb = xy[:, edges[:, 1]] - xy[:, edges[:, 0]]
    length = np.hypot(limb[..., 0], limb[..., 1]).astype(np.float64)
    return np.asarray(np.log(np.fmax(length, 0.01 * evidence.body_px) + 0 * length))


def _find_usual(evidence: Evidence, log_length: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the usual logarithm of every length, for every row, (N, E)."""
    usual = np.broadcast_to(median_of_present(log_length, axis=0), log_length.shape).copy()
    ends = np.flatnonzero(np.diff(evidence.chains[evidence.order])) + 1
    for mine in np.split(evidence.order, ends):
        if len(mine) < _MIN_ROWS:
            continue
        own = log_length[mine]
        enough = (~np.isnan(own)).sum(axis=0) >= _MIN_ROWS
        usual[mine] = np.where(enough, median_of_present(own, axis=0), usual[mine])
    return usual


def _blame_node(
    excess: NDArray[np.float64],
    edge: NDArray[np.intp],
    edges: NDArray[np.int32],
    n_nodes: int,
) -> NDArray[np.int32]:
    """Return the end of each row's worst edge that has more odd edges, the far end if equal."""
    incidence = np.zeros((len(edges), n_nodes))
    incidence[np.arange(len(edges))[:, None], edges] = 1
    odd = (excess >= 0.5).astype(np.float64) @ incidence  # (N, K)
    source, destination = edges[edge].T
    rows = np.arange(len(edge))
    more = odd[rows, source] > odd[rows, destination]
    return np.asarray(np.where(more, source, destination), np.int32)
