"""Fragments of animals are joined as their definition says, however many there are."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.fragments import merge_fragments

# Two trees: 0-1-2-3 with a branch 1-4, and 5-6.
SKELETON = Skeleton(tuple("abcdefg"), ((0, 1), (1, 2), (2, 3), (1, 4), (5, 6)))
N_NODES = len(SKELETON)


def walk(a, b):
    """Nodes on the way from a to b, both included; None between trees."""
    ways = [[a]]
    for way in ways:
        if way[-1] == b:
            return way
        for edge in SKELETON.edges:
            if way[-1] in edge:
                (other,) = set(edge) - {way[-1]}
                if other not in way:
                    ways.append([*way, other])
    return None


def merge_one_by_one(fragments, max_gap):
    """The definition, pair by pair and point by point: {node: (number, (x, y))} each."""
    gaps = []
    for i, first in enumerate(fragments):
        for j, second in enumerate(fragments[i + 1 :], i + 1):
            if max(len(first), len(second)) < 2 or first.keys() & second.keys():
                continue
            ways = []
            for a in first:
                for b in second:
                    way = walk(a, b)
                    distance = np.float32(np.hypot(*(first[a][1] - second[b][1])))
                    ways.append((len(way) - 1 if way else 10**6, distance, a, b))
            hops, distance, a, b = min(ways)
            if hops >= 2 and distance <= max_gap:
                gaps.append((distance, i, j, a, b))
    whole = [dict(fragment) for fragment in fragments]
    root = list(range(len(fragments)))
    for _, i, j, a, b in sorted(gaps):
        one, other = root[i], root[j]
        both = whole[one].keys() | whole[other].keys()
        between = set(walk(a, b) or ()) - {a, b}
        if one == other or whole[one].keys() & whole[other].keys() or both & between:
            continue
        whole[one] |= whole[other]
        whole[other] = {}
        root = [one if r == other else r for r in root]
    return [{node: number for node, (number, _) in found.items()} for found in whole]


@st.composite
def fragment_lists(draw):
    """Fragments of one to five nodes, largest first, at places of their own."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    fragments = []
    for size in sorted(sizes, reverse=True):
        nodes = rng.permutation(N_NODES)[:size].tolist()
        xy = rng.uniform(0, 60, (size, 2)).astype(np.float32)
        numbers = rng.integers(0, 99, size).tolist()
        fragments.append(dict(zip(nodes, zip(numbers, xy, strict=True), strict=True)))
    return fragments


def as_arrays(fragments):
    peaks = np.full((1, len(fragments), N_NODES), -1)
    places = np.full((1, len(fragments), N_NODES, 2), np.nan, np.float32)
    for i, fragment in enumerate(fragments):
        for node, (number, xy) in fragment.items():
            peaks[0, i, node], places[0, i, node] = number, xy
    return peaks, 2.0 ** np.arange(len(fragments))[None], places


@given(fragment_lists(), st.sampled_from([8.0, 20.0, 40.0, 100.0]))
def test_fragments_are_joined_as_defined(fragments, max_gap):
    peaks, evidence, places = as_arrays(fragments)
    merge_fragments(peaks, evidence, places, SKELETON, max_gap)
    found = [
        {node: int(row[node]) for node in np.flatnonzero(row >= 0).tolist()} for row in peaks[0]
    ]
    assert found == merge_one_by_one(fragments, max_gap)
    assert evidence.sum() == 2.0 ** len(fragments) - 1  # what speaks for them stays
    assert not evidence[0, [not fragment for fragment in found]].any()


def test_thousands_of_false_peaks_fit_into_memory():
    """A network in its first minutes sees peaks everywhere."""
    rng = np.random.default_rng(0)
    count = 3000
    peaks = np.full((1, count, N_NODES), -1)
    peaks[0, np.arange(count), rng.integers(0, N_NODES, count)] = 0
    peaks[0, :500, :2] = 0
    peaks[0] = peaks[0][np.argsort(-(peaks[0] >= 0).sum(axis=1), kind="stable")]
    places = rng.uniform(0, 1000, (*peaks.shape, 2)).astype(np.float32)
    tracemalloc.start()
    try:
        merge_fragments(peaks, np.ones((1, count)), places, SKELETON, 50.0)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 200e6
