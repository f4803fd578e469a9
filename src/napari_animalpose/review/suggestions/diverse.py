"""Different situations among the uncertain frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.store import pack
from napari_animalpose.errors import DataError
from napari_animalpose.review.finders.scores import measure_confidence
from napari_animalpose.review.robust import median_or
from napari_animalpose.review.suggestions.base import Candidates, Keys, Request, choose_spaced
from napari_animalpose.review.suggestions.features import read_features
from napari_animalpose.review.suggestions.frames import take_worst
from napari_animalpose.review.suggestions.postures import align_postures, describe_company

__all__ = ["measure_situations", "order_farthest_first", "rate_uncertainty", "suggest_diverse"]

Floats = NDArray[np.float64]

_POOL = 5  # uncertain frames to choose from, for each that is wanted
_SCORE_WEIGHT = 0.5  # of a confidence of 0, on the scale of severities
_MOST_LABELLED = 100  # labelled frames that new ones are kept away from
_BOX_BODIES = 2.0  # side of the part of a frame that is looked at


def suggest_diverse(request: Request) -> Candidates:
    """Suggest uncertain frames that differ from one another and from the labelled ones.

    The most uncertain frames (`rate_uncertainty`), five for each that is wanted but at
    most half of all, are described by posture, company and picture of their most doubtful
    animal (`measure_situations`). The first suggestion is the most uncertain one; each
    next is the one farthest from all before it and from labelled frames (the greedy
    k-centre of Gonzalez, "Clustering to minimize the maximum intercluster distance",
    Theor. Comput. Sci. 1985; for labels: Sener and Savarese, "Active learning for
    convolutional neural networks: a core-set approach", ICLR 2018).

    Raises
    ------
    DataError
        If there are no poses.
    """
    if not len(request.poses):
        raise DataError(
            "Expected poses to tell situations by; received none. Predict first, or use the "
            "method 'image', 'even' or 'random'."
        )
    keys, uncertainty, rows, reasons = rate_uncertainty(request)
    order = np.lexsort((keys, -uncertainty))
    spaced = order[choose_spaced(request, keys[order], len(order))]
    n_pool = min(len(spaced), max(_POOL * request.count, 50), max(len(spaced) // 2, request.count))
    pool = spaced[:n_pool]
    known_keys, known_rows = _take_labelled(request)
    situations = measure_situations(
        request,
        np.concatenate([keys[pool], known_keys]),
        np.concatenate([rows[pool], known_rows]),
    )
    chosen = order_farthest_first(situations, n_pool, request.count)
    texts = [reasons.get(int(keys[i]), "Nothing suspicious.") for i in pool[chosen]]
    return Candidates(
        keys[pool[chosen]],
        [f"{text}{' Unlike those before it.' if n else ''}" for n, text in enumerate(texts)],
    )


def rate_uncertainty(
    request: Request,
) -> tuple[Keys, Floats, NDArray[np.intp], dict[int, str]]:
    """Return how uncertain every frame with poses is, its most doubtful row, and why.

    The larger of the severity of an error suspected there and of half the missing share
    of the usual confidence.

    Returns
    -------
    keys : array of int64, shape (F,), ascending
    uncertainty : array of float64, shape (F,)
        From 0.
    rows : array of int, shape (F,)
        Of ``request.evidence``; -1 = a frame without instances.
    reasons : dict of int to str
        By key; frames with nothing to say have none.
    """
    evidence = request.evidence
    confidence = measure_confidence(evidence)
    usual = median_or(confidence, 1.0)
    doubt = np.clip(1 - np.nan_to_num(confidence, nan=usual) / max(usual, 1e-9), 0, 1)
    keys, value, rows = take_worst(request, _SCORE_WEIGHT * doubt)
    reasons = {
        int(key): f"Low confidence: {confidence[row]:.2f} where {usual:.2f} is usual."
        for key, row, v in zip(keys.tolist(), rows.tolist(), value.tolist(), strict=True)
        if v > 0
    }
    found = request.findings.ranked()
    found_keys, first = np.unique(pack(found.video, found.frame), return_index=True)
    all_keys = np.union1d(keys, found_keys)
    all_value, all_rows = np.zeros(len(all_keys)), np.full(len(all_keys), -1, np.intp)
    place = all_keys.searchsorted(keys)
    all_value[place], all_rows[place] = value, rows
    for key, entry in zip(found_keys.tolist(), first.tolist(), strict=True):
        index = int(all_keys.searchsorted(key))
        if found.severity[entry] <= all_value[index]:
            continue
        all_value[index] = found.severity[entry]
        reasons[key] = str(found.text[entry])
        row = _find_row(request, key, int(found.instance[entry]))
        all_rows[index] = row if row >= 0 else all_rows[index]
    return all_keys, all_value, all_rows, reasons


def measure_situations(request: Request, keys: Keys, rows: NDArray[np.intp]) -> Floats:
    """Return frames as points whose distances say how different the situations are, (F, D).

    Three parts of equal weight: the posture of the animal; its direction, place and
    company; and the picture of it and its surroundings, two body lengths wide. Each part
    is scaled so that its mean squared distance from the mean is 1.

    Parameters
    ----------
    request : Request
    keys : array of int64, shape (F,)
    rows : array of int, shape (F,)
        Row of ``request.evidence`` that is looked at; -1 = none, the whole frame.
    """
    evidence = request.evidence
    xy = np.full((len(rows), evidence.poses.n_nodes, 2), np.nan, np.float32)
    xy[rows >= 0] = evidence.poses.xy[rows[rows >= 0]]
    postures, angle = align_postures(xy, evidence.body_px)
    company = describe_company(evidence, rows)
    company = company / np.maximum(company.std(axis=0), 1e-9)
    company = np.concatenate([company, np.cos(angle)[:, None], np.sin(angle)[:, None]], axis=1)
    center = np.where(rows[:, None] >= 0, evidence.center[rows], np.nan)
    half = np.array([-1.0, -1.0, 1.0, 1.0]) * _BOX_BODIES / 2 * max(evidence.body_px, 16.0)
    pictures = read_features(request, keys, np.tile(center, 2) + half)
    return np.concatenate([_scale(part) for part in (postures, company, pictures)], axis=1)


def order_farthest_first(situations: Floats, n_candidates: int, count: int) -> NDArray[np.intp]:
    """Return candidates in the order of the greedy k-centre.

    Parameters
    ----------
    situations : array of float, shape (F, D)
        Candidates first, the most wanted one at the top; then what they are to differ from.
    n_candidates : int
    count : int
        How many to choose.

    Returns
    -------
    array of int
        The first is candidate 0; each next one has the largest distance to the nearest of
        those before it and of those to differ from.
    """
    candidates, known = situations[:n_candidates], situations[n_candidates:]
    nearest = np.full(n_candidates, np.inf)
    for point in known:
        nearest = np.minimum(nearest, np.linalg.norm(candidates - point, axis=1))
    chosen: list[int] = []
    while len(chosen) < min(count, n_candidates):
        best = int(nearest.argmax()) if chosen else 0
        chosen.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(candidates - candidates[best], axis=1))
        nearest[best] = -1.0
    return np.array(chosen, np.intp)


# ---------------------------------------------------------------------------- internals
def _scale(part: Floats) -> Floats:
    """Return features with the mean taken off and a mean squared length of 1."""
    centred = part - part.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=1).mean())
    return np.asarray(centred / size if size > 1e-9 else np.zeros_like(centred))


def _find_row(request: Request, key: int, instance: int) -> int:
    """Return the row at a position in a frame, -1 = none."""
    evidence = request.evidence
    start, stop = evidence.keys.searchsorted((key, key + 1)).tolist()
    match = np.flatnonzero(evidence.position[start:stop] == instance)
    return start + int(match[0]) if len(match) else -1


def _take_labelled(request: Request) -> tuple[Keys, NDArray[np.intp]]:
    """Return labelled frames of the chosen videos, evenly drawn, and a row of each."""
    evidence = request.evidence
    rows = np.flatnonzero(evidence.poses.is_label)
    rows = rows[np.isin(evidence.keys[rows] >> 32, request.chosen_videos)]
    if len(rows) > _MOST_LABELLED:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_LABELLED).astype(np.intp)]
    return evidence.keys[rows], rows
