"""From an `Inspection` to what is drawn and read: vectors, coloured maps, sentences."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.errors import DataError
from napari_animalpose.nn.inspection import CropVerdict, Fields, Inspection, Verdict

__all__ = ["FieldVectors", "explain_connection", "explain_crop", "paf_vectors", "project_maps"]


class FieldVectors(NamedTuple):
    """Vectors of part affinity fields, V rows, by edge and then by place.

    vectors : float32 (V, 2, 2), start and direction, each (y, x) in px of the frame, as a
        vectors layer takes them
    edge : int32 (V,), number of the edge
    magnitude : float32 (V,), strength of the field
    """

    vectors: NDArray[np.float32]
    edge: NDArray[np.int32]
    magnitude: NDArray[np.float32]


def paf_vectors(
    inspection: Inspection | Fields,
    edge: int | None = None,
    threshold: float = 0.1,
    stride_cells: int = 1,
    length_px: float | None = None,
) -> FieldVectors:
    """Turn part affinity fields into vectors to draw.

    Parameters
    ----------
    inspection : Inspection or Fields
        Without fields there are no vectors.
    edge : int, optional
        Only this edge; by default all.
    threshold : float
        Weaker vectors are left out, as are those of length 0.
    stride_cells : int
        One vector for each square of so many cells and each edge: the strongest, at its
        own place. A limb that is thinner than the squares stays visible.
    length_px : float, optional
        Length of a vector of strength 1 in px of the frame; by default the side of the
        squares, so that vectors hardly overlap.

    Returns
    -------
    FieldVectors

    Raises
    ------
    DataError
        If there is no such edge, or the stride is not at least 1.
    """
    fields = inspection.fields if isinstance(inspection, Inspection) else inspection
    if stride_cells < 1:
        raise DataError(f"Expected a stride of at least 1 cell; received {stride_cells}.")
    if fields is None:
        return FieldVectors(
            np.zeros((0, 2, 2), np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32)
        )
    if edge is not None and not 0 <= edge < len(fields.edges):
        raise DataError(f"Expected an edge from 0 to {len(fields.edges) - 1}; received {edge}.")
    first = 0 if edge is None else edge
    values = fields.values if edge is None else fields.values[edge : edge + 1]
    values = values.astype(np.float32)
    magnitude = np.hypot(values[..., 0], values[..., 1])  # (E, h, w)
    number, row, column = _strongest_in_squares(magnitude, stride_cells)
    strength = magnitude[number, row, column]
    drawn = (strength >= threshold) & (strength > 0)
    number, row, column = number[drawn], row[drawn], column[drawn]
    strength = strength[drawn]
    length = stride_cells * fields.grid.scale if length_px is None else length_px
    start = fields.grid.to_frame(np.stack([column, row], axis=-1))
    vectors = np.stack([start, values[number, row, column] * length], axis=1)[..., ::-1]
    return FieldVectors(
        np.ascontiguousarray(vectors, np.float32),
        (number + first).astype(np.int32),
        strength.astype(np.float32),
    )


def _strongest_in_squares(
    magnitude: NDArray[np.float32], side: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return (map, row, column) of the highest cell in each square of maps (E, h, w)."""
    n_maps, height, width = magnitude.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = np.full((n_maps, rows * side, columns * side), -1.0, np.float32)
    padded[:, :height, :width] = magnitude
    squares = padded.reshape(n_maps, rows, side, columns, side).transpose(0, 1, 3, 2, 4)
    place = squares.reshape(n_maps, rows, columns, side * side).argmax(axis=-1)
    number, row, column = np.indices(place.shape)
    return (
        number.ravel(),
        (row * side + place // side).ravel(),
        (column * side + place % side).ravel(),
    )


def project_maps(stack: NDArray[np.floating[Any]], colors: ArrayLike) -> NDArray[np.float32]:
    """Lay maps over each other, each in its colour.

    Parameters
    ----------
    stack : float array, shape (K, h, w)
        Confidences; below 0 counts as 0, above 1 as 1, NaN as 0.
    colors : array_like, shape (K, 3)
        (R, G, B) from 0 to 1, or whole numbers from 0 to 255.

    Returns
    -------
    float32 array, shape (h, w, 3)
        In 0..1: of each colour channel the maximum over the maps. Where one map is high
        and the others are not this is its colour; two that meet give the mixture, and no
        sum of many weak maps looks like a strong one.
    """
    shades = np.asarray(colors)
    if shades.dtype.kind in "iu":
        shades = shades / 255.0
    shades = shades.astype(np.float32)
    if shades.shape != (len(stack), 3):
        raise DataError(
            f"Expected a colour (R, G, B) for each of {len(stack)} maps; received shape "
            f"{shades.shape}."
        )
    picture = np.zeros((3, *stack.shape[1:]), np.float32)
    for values, shade in zip(stack, shades, strict=True):
        strength = np.fmin(np.fmax(values.astype(np.float32), 0), 1)  # NaN becomes 0
        for channel, part in zip(picture, shade, strict=True):
            np.maximum(channel, strength * part, out=channel)
    return np.ascontiguousarray(np.moveaxis(picture, 0, -1))


# ------------------------------------------------------------------------------ sentences
def explain_connection(inspection: Inspection, row: int) -> str:
    """Say in one sentence why two peaks were joined or not; `row` of `Connections`."""
    pairs, limits = inspection.connections, inspection.limits
    if pairs is None:
        raise DataError("Expected an inspection of a bottom-up pipeline; received another.")
    score, support = pairs.score[row], pairs.support[row]
    parts = f"line score {score:.2f}"
    if pairs.penalty[row] < -0.005:
        parts = (
            f"line score {score:.2f} = {pairs.alignment[row]:.2f} along the line "
            f"less {-pairs.penalty[row]:.2f} for the distance of {pairs.length_px[row]:.0f} px"
        )
    match Verdict(pairs.verdict[row]):
        case Verdict.LOW_SCORE:
            return f"Not joined: {parts}, below {limits['min_line_score']:.2f}."
        case Verdict.LOW_SUPPORT:
            return (
                f"Not joined: the field agrees on {support:.0%} of the line, less than "
                f"{limits['min_support']:.0%} ({parts})."
            )
        case Verdict.LOST:
            return f"Not joined, in spite of its {parts}: {_name_rivals(inspection, row)}."
    if pairs.instance[row] < 0:
        return f"Joined ({parts}), but the animal that they are part of was left out."
    return f"Joined: {parts}, the field agrees on {support:.0%} of the line."


def _name_rivals(inspection: Inspection, row: int) -> str:
    """Say which of the two peaks of a connection have another partner."""
    pairs = inspection.connections
    assert pairs is not None
    taken = (pairs.verdict == Verdict.JOINED) & (pairs.edge == pairs.edge[row])
    said, best = [], 0.0
    nodes = inspection.skeleton.nodes
    for ends, others in (
        (pairs.source, pairs.destination), (pairs.destination, pairs.source),
    ):  # fmt: skip
        for rival in np.flatnonzero(taken & (ends == ends[row])):
            node, other = (
                nodes[inspection.peaks.node[peak]] for peak in (ends[row], others[rival])
            )
            said.append(
                f"its {node} is joined to another {other}, with line score {pairs.score[rival]:.2f}"
            )
            best = max(best, float(pairs.score[rival]))
    if not said:
        return "other pairs make a better whole"
    better = ", which makes the better whole" if best < pairs.score[row] else ""
    return " and ".join(said) + better


def explain_crop(inspection: Inspection, row: int) -> str:
    """Say in one sentence what became of a crop; `row` of `Crops`."""
    crops, limits = inspection.crops, inspection.limits
    if crops is None:
        raise DataError("Expected an inspection of a top-down pipeline; received another.")
    match CropVerdict(crops.verdict[row]):
        case CropVerdict.NO_POINTS:
            return f"Left out: no point in it reaches {limits['peak_threshold']:.2f}."
        case CropVerdict.DUPLICATE:
            return "Left out: its points are those of an animal in a better crop."
        case CropVerdict.FAINT:
            return (
                f"Left out: its score (confidence {crops.score[row]:.2f}, times the mean "
                f"confidence of all points) is below {limits['min_instance_score']:.2f}."
            )
        case CropVerdict.SURPLUS:
            return f"Left out: {limits['max_instances']:.0f} better animals are allowed."
    return f"Kept: an animal is there with confidence {crops.score[row]:.2f}."
