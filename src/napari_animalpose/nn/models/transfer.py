"""Taking what the outputs of one network have learned into a network with other outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["carry_fields", "copy_channels", "field_channels", "find_fields"]

FIELDS = "pafs"  # the layer of `heads.multi_instance` that part affinity fields come from
Edge = tuple[Any, Any]


def field_channels(known: Sequence[Edge], edges: Sequence[Edge]) -> list[int]:
    """Return, for each channel of the fields of some edges, the same one among known edges.

    Parameters
    ----------
    known, edges : sequence of (source, destination)
        The fields of an edge are two channels, x and y, in the order of the edges.

    Returns
    -------
    list of int
        Two for each edge; -1 for an edge that is not known.
    """
    numbers = [known.index(edge) if edge in known else -1 for edge in edges]
    return [2 * number + axis if number >= 0 else -1 for number in numbers for axis in (0, 1)]


def copy_channels(new: NDArray[Any], old: NDArray[Any], channels: Sequence[int]) -> NDArray[Any]:
    """Return weights whose last axis is taken from `old`; -1 keeps what `new` has there."""
    own = np.flatnonzero(np.asarray(channels) >= 0)
    copied = new.copy()
    copied[..., own] = old[..., np.asarray(channels)[own]]
    return copied


def find_fields(network: Any) -> list[int]:
    """Return which of the weights of a network make its part affinity fields."""
    own = {id(weight) for weight in network.get_layer(FIELDS).weights}
    return [number for number, weight in enumerate(network.weights) if id(weight) in own]


def carry_fields(
    network: Any, weights: Sequence[NDArray[Any]], known: Sequence[Edge], edges: Sequence[Edge]
) -> list[NDArray[Any]]:
    """Return the weights of a network for other edges as one for these edges can use them.

    Parameters
    ----------
    network : keras.Model
        The new one, whose fields of unknown edges are kept.
    weights : sequence of array
        All weights of the old one, which differs in nothing but its edges.
    known, edges : sequence of (source, destination)
        Of the old and the new one.
    """
    channels, carried = field_channels(known, edges), list(weights)
    own = network.get_weights()
    for number in find_fields(network):
        carried[number] = copy_channels(own[number], weights[number], channels)
    return carried
