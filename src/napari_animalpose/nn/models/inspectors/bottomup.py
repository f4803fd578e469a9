"""Looks into the network of the pipeline "bottomup", and into how its peaks are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.nn.grouping import Candidates, Grouping, Instances, length_penalty
from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.inspection import NONE, Connections, Fields, Findings, Verdict
from napari_animalpose.nn.models.forward import to_frame
from napari_animalpose.nn.models.inspectors.base import PeakTable, Stopwatch, WholeFrame

if TYPE_CHECKING:
    from napari_animalpose.nn.models.detectors.bottomup import BottomUpDetector

__all__ = ["BottomUpInspector"]


class BottomUpInspector:
    """Confidence maps, fields, all peaks and all pairs of them along the edges.

    Peaks come from one graph with the maps; those above the threshold are joined by the
    detector itself, which then says what it knows of every pair.

    Parameters
    ----------
    detector : BottomUpDetector
    """

    def __init__(self, detector: BottomUpDetector) -> None:
        self.detector = detector
        self.skeleton = detector.head.skeleton
        self.whole = WholeFrame(detector.forward, detector.threshold, self._split)

    def _split(self, outputs: dict[str, Any], _: Any) -> tuple[Any]:
        return (self.detector.head.split_fields(outputs["pafs"]),)

    def __call__(self, frames: NDArray[np.uint8]) -> Findings:
        """Return what is found in one frame (1, H, W, C)."""
        watch, size = Stopwatch(), frames.shape[1:3]
        seen = self.whole(frames)
        watch.lap("network")
        (pafs,) = seen.more
        strong = seen.heights > self.detector.threshold
        points = np.where(strong[..., None], seen.points, np.float32(np.nan))
        heights = np.where(strong, seen.heights, np.float32(0))
        joined = self.detector.join((points, heights, pafs), return_candidates=True)
        owner = _own(joined, seen.heights.shape[1:])
        watch.lap("joining")
        table = PeakTable()
        rows = table.add(seen.placed, seen.heights[0], owner)
        how = self.detector.choose_grouping(pafs)
        connections = self._connect(joined, points[0], rows, owner, how)
        scale = self.detector.forward.config.input_scale
        found = Detections(
            to_frame(joined.points, scale, *size), joined.point_scores, joined.scores
        )
        maps = self.whole.pack("confmaps", self.skeleton.nodes, seen.maps["confmaps"])
        grid = self.detector.forward.grid(self.detector.forward.map_stride("pafs"))
        # (2 E, h, w) as (E, h, w, 2)
        values = np.stack([seen.maps["pafs"][0::2], seen.maps["pafs"][1::2]], axis=-1)
        fields = Fields(np.asarray(self.skeleton.edge_array, np.int64), values, grid)
        watch.lap("packing")
        limits = {
            "peak_threshold": self.detector.threshold,
            "min_line_score": how.min_line_score,
            "min_support": how.min_support,
            "min_points": how.min_points,
            "min_mean_confidence": how.min_mean_height,
            "min_instance_score": how.min_score,
            "max_instances": how.max_instances,
        }
        return Findings(
            found, (maps,), table.build(), fields=fields, connections=connections,
            limits=limits, seconds=watch.seconds,
        )  # fmt: skip

    def _connect(
        self,
        joined: Instances,
        points: NDArray[np.float32],
        rows: NDArray[np.int64],
        owner: NDArray[np.int32],
        how: Grouping,
    ) -> Connections:
        """List all pairs; points (K, P, 2), rows of the table and owners (K, P)."""
        assert joined.candidates is not None
        scores, support, chosen = (part[0] for part in joined.candidates)  # (E, P, P)
        edge, i, j = np.nonzero(np.isfinite(scores))
        ends = np.asarray(self.skeleton.edge_array, np.int64)[edge]
        first, second = points[ends[:, 0], i], points[ends[:, 1], j]
        unit = self.detector.point_scale  # input px
        length = np.linalg.norm(second - first, axis=-1).astype(np.float32)
        penalty = length_penalty(length * unit, how)
        score = scores[edge, i, j]
        own = owner[ends[:, 0], i]
        together = chosen[edge, i, j] & (own == owner[ends[:, 1], j])
        scale = self.detector.forward.config.input_scale
        return Connections(
            edge=edge.astype(np.int32),
            source=rows[ends[:, 0], i].astype(np.int32),
            destination=rows[ends[:, 1], j].astype(np.int32),
            score=score,
            alignment=score - penalty,
            penalty=penalty,
            support=support[edge, i, j],
            length_px=length / np.float32(scale),
            verdict=_judge(Candidates(scores, support, chosen), how)[edge, i, j],
            instance=np.where(together, own, NONE).astype(np.int32),
        )


def _own(joined: Instances, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Return the animal of each peak, (K, P); -1 for none."""
    owner = np.full(shape, NONE, np.int32)
    instance, node = np.nonzero(joined.peaks[0] >= 0)
    owner[node, joined.peaks[0, instance, node]] = instance
    return owner


def _judge(pairs: Candidates, how: Grouping) -> NDArray[np.int8]:
    """Return the `Verdict` on each pair, (E, P, P)."""
    verdicts = np.full(pairs.scores.shape, Verdict.LOST, np.int8)
    with np.errstate(invalid="ignore"):
        verdicts[pairs.support < how.min_support] = Verdict.LOW_SUPPORT
        low = (pairs.scores < how.min_line_score) | (pairs.scores <= 0)
    verdicts[low] = Verdict.LOW_SCORE
    verdicts[pairs.joined] = Verdict.JOINED
    return verdicts
