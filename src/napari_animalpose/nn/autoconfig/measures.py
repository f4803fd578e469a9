"""What labels say about the animal and its place in the frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.errors import DataError
from napari_animalpose.nn.identity import named_tracks

__all__ = [
    "LabelMeasures",
    "measure_labels",
]

UNKNOWN_SIZE = 0.1  # of the shorter side of the frame: an animal of which one point is known


@dataclass(frozen=True)
class LabelMeasures:
    """What the labels say about the animal and its place in the frame; lengths in px.

    Parameters
    ----------
    n_frames, n_instances : int
        Labelled frames and labelled animals in them.
    n_nodes : int
    animals_per_frame : int
        The most in one frame.
    frame_height, frame_width : int
        Of the largest labelled frame.
    channels : int
        1 for gray, 3 for colour.
    size_px : float
        Median length of the diagonal of an animal's bounding box.
    large_size_px : float
        The 95th percentile of it.
    spacing_px : float
        Median distance from a point to the next point of the same animal.
    orientation_spread_deg : float
        Circular standard deviation of the directions in which animals lie; above about
        80 they lie in all directions, as seen from above.
    points_labelled : float
        Share of all points that have a position.
    longest_edge_px : float
        The 99th percentile of the length of an animal's longest edge; 0 without edges.
    identities : tuple of str
        Names of the tracks of the labelled animals.
    n_empty_frames : int
        Frames that were marked as empty.
    n_sizes : int
        Different sizes of the frames that were looked at.
    gray_and_colour : bool
        Whether some of these are gray and others not.
    points_occluded : float
        Share of the labelled points that are occluded.
    joinable : bool
        Whether points can be joined to animals along the edges: there are some, and they
        form trees.
    """

    n_frames: int
    n_instances: int
    n_nodes: int
    animals_per_frame: int
    frame_height: int
    frame_width: int
    channels: int
    size_px: float
    large_size_px: float
    spacing_px: float
    orientation_spread_deg: float
    points_labelled: float
    longest_edge_px: float = 0.0
    identities: tuple[str, ...] = ()
    n_empty_frames: int = 0
    n_sizes: int = 1
    gray_and_colour: bool = False
    points_occluded: float = 0.0
    joinable: bool = True

    @property
    def share_of_frame(self) -> float:
        """Length of an animal over the shorter side of the frame."""
        return self.size_px / min(self.frame_height, self.frame_width)


def measure_labels(
    labels: Poses,
    sizes: Sequence[tuple[int, int]],
    channels: int | Sequence[int],
    n_empty_frames: int = 0,
) -> LabelMeasures:
    """Measure the labelled animals.

    Parameters
    ----------
    labels : Poses
        Labelled instances only.
    sizes : sequence of (int, int)
        (height, width) of the videos or frames that hold them.
    channels : int or sequence of int
        1 for gray frames, 3 for colour; one number for all of them, or one for each size.
        Of gray and colour together the network sees the gray that they have in common:
        a place then looks alike in both.
    n_empty_frames : int
        Passed on.

    Raises
    ------
    DataError
        If there is no labelled point at all.
    """
    xy = labels.xy.astype(np.float64)
    placed = np.isfinite(xy[..., 0])
    rows = placed.any(axis=1)
    if not rows.any():
        raise DataError(
            "Expected labelled points to learn from; received labels without a single point. "
            "Label some frames first."
        )
    xy, placed = xy[rows], placed[rows]
    sides = np.nanmax(xy, axis=1) - np.nanmin(xy, axis=1)  # (N, 2)
    diagonal = np.hypot(sides[:, 0], sides[:, 1])
    frames, counts = np.unique(
        np.stack([labels.video[rows], labels.frame[rows]]), axis=1, return_counts=True
    )
    seen = {channels} if isinstance(channels, int) else set(channels)
    # Single points have no size: take the animal for a tenth of the frame.
    unknown = UNKNOWN_SIZE * min(min(size) for size in sizes)
    return LabelMeasures(
        n_frames=frames.shape[1],
        n_instances=int(rows.sum()),
        n_nodes=labels.n_nodes,
        animals_per_frame=int(counts.max()),
        frame_height=max(size[0] for size in sizes),
        frame_width=max(size[1] for size in sizes),
        channels=min(seen),
        size_px=float(np.median(diagonal)) or unknown,
        large_size_px=float(np.percentile(diagonal, 95)) or unknown,
        spacing_px=_spacing(xy),
        orientation_spread_deg=_orientation_spread(xy),
        points_labelled=float(placed.mean()),
        longest_edge_px=_longest_edge(xy, labels.skeleton.edge_array),
        identities=named_tracks(labels.select(rows)),
        n_empty_frames=n_empty_frames,
        n_sizes=len(set(sizes)),
        gray_and_colour=len(seen) > 1,
        points_occluded=float((labels.visibility[rows][placed] == Visibility.OCCLUDED).mean()),
        joinable=bool(labels.skeleton.edges) and labels.skeleton.is_forest,
    )


def _spacing(xy: NDArray[np.float64]) -> float:
    """Median distance of a point to the next one of the same animal, (N, K, 2); inf for K = 1."""
    distance = np.linalg.norm(xy[:, :, None] - xy[:, None], axis=-1)  # (N, K, K)
    distance[:, np.arange(xy.shape[1]), np.arange(xy.shape[1])] = np.inf
    nearest = np.where(np.isnan(distance), np.inf, distance).min(axis=2)
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(nearest)) if nearest.size else math.inf


def _longest_edge(xy: NDArray[np.float64], edges: NDArray[np.int32]) -> float:
    """99th percentile of the longest edge (E, 2) of each animal (N, K, 2); 0 without any."""
    if not len(edges):
        return 0.0
    lengths = np.linalg.norm(xy[:, edges[:, 0]] - xy[:, edges[:, 1]], axis=-1)  # (N, E)
    longest = np.where(np.isnan(lengths), 0.0, lengths).max(axis=1)
    return float(np.percentile(longest, 99))


def _orientation_spread(xy: NDArray[np.float64]) -> float:
    """Circular standard deviation in degrees of the animals' orientations.

    The orientation is the rotation that best brings the animals' mean shape onto each
    of them (Procrustes, Kabsch 1976), the mean shape being refined from the first
    complete animal.
    """
    centred = xy - np.nanmean(xy, axis=1, keepdims=True)
    shapes = np.nan_to_num(centred[..., 0] + 1j * centred[..., 1])  # (N, K); missing: 0
    template = shapes[np.argmax(np.isfinite(xy[..., 0]).sum(axis=1))]
    angles = np.zeros(len(shapes))
    for _ in range(5):
        angles = np.angle((shapes * template.conj()).sum(axis=1))
        template = (shapes * np.exp(-1j * angles)[:, None]).mean(axis=0)
    length = abs(np.exp(1j * angles).mean())
    return float(np.rad2deg(math.sqrt(max(0.0, -2 * math.log(max(length, 1e-9))))))
