"""Typical pictures: one of each group of frames that look alike."""

from __future__ import annotations

import numpy as np

from napari_animalpose.review.suggestions.base import Candidates, Request
from napari_animalpose.review.suggestions.even import spread_evenly
from napari_animalpose.review.suggestions.features import read_features

__all__ = ["suggest_by_image"]

_LOOKED_AT = 20  # frames looked at for each that is wanted
_MOST = 1000  # frames looked at in all


def suggest_by_image(request: Request) -> Candidates:
    """Suggest the most typical frame of each of as many groups of similar ones as wanted.

    Up to a thousand frames at even distances are looked at, and grouped by k-means on
    what they look like (`read_features`). The largest group comes first; a group whose
    typical frame is too near to another suggestion gives its next one.
    """
    from sklearn.cluster import KMeans

    keys = spread_evenly(request, min(max(_LOOKED_AT * request.count, 200), _MOST))
    if not len(keys):
        return Candidates(keys, [])
    features = read_features(request, keys)
    n_different = len(np.unique(features.round(9), axis=0))
    groups = KMeans(min(request.count, n_different), n_init=4, random_state=request.seed)
    label = groups.fit_predict(features)
    off = np.linalg.norm(features - groups.cluster_centers_[label], axis=1)
    order = np.lexsort((keys, off, label))
    turn = np.empty(len(keys), np.intp)  # how many of its group come before it
    turn[order] = np.arange(len(keys)) - np.searchsorted(label[order], label[order])
    size = np.bincount(label)[label]
    order = np.lexsort((keys, -size, turn))
    reasons = [f"Typical of {n} similar frames of {len(keys)} looked at." for n in size[order]]
    return Candidates(keys[order], reasons)
