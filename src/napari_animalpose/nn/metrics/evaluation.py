"""All figures of a set of predictions against the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.nn.metrics.centroids import CentroidMatches
from napari_animalpose.nn.metrics.precision import PrecisionRecall

__all__ = ["PCK_THRESHOLDS_PX", "PERCENTILES", "Evaluation"]

PERCENTILES = (50, 75, 90, 95, 99)
PCK_THRESHOLDS_PX = np.arange(1.0, 11.0)


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: counts, errors in px, and the figures that follow from them.

    With K nodes and M pairs of a true and a predicted instance. A figure over nothing,
    such as the error of a node that was never labelled, is NaN.

    Parameters
    ----------
    nodes : tuple of str
        Names of the K nodes.
    n_frames, n_frames_missed : int
        Evaluated frames, and those among them with an animal and without a prediction.
    n_frames_empty, n_frames_invented, n_invented : int
        Evaluated frames without an animal, those among them with a prediction, and the
        predictions there: all of them are false positives.
    n_truth, n_predicted : int
        Instances with at least one point.
    n_points : array of int64, shape (K,)
        Labelled points, occluded ones included.
    n_points_predicted : int
        Points of all predictions.
    errors_px : array of float64, shape (M, K)
        Distance between the points of each pair; NaN unless both have the point.
    in_truth, in_prediction : array of bool, shape (M, K)
        Whether the true, the predicted instance of each pair has the point.
    occluded : array of bool, shape (M, K)
        Whether the point of the true instance is labelled as occluded.
    oks : array of float64, shape (M,)
        Similarity of each pair.
    animal_size_px : float
        Median diagonal of the box around a true instance; NaN if none has two points.
    ranking : PrecisionRecall
        Of matched predictions alone, as in SLEAP.
    ranking_with_false_positives : PrecisionRecall
        Of all predictions: unmatched ones count as wrong at every threshold.
    ranking_by_pck : PrecisionRecall
        Of matched predictions alone, with the share of correct keypoints of a pair (its
        mean over the nodes and `PCK_THRESHOLDS_PX`) in the place of its OKS: what SLEAP
        calls ``pck_voc``.
    centroids : CentroidMatches
        Animals by their places alone.
    """

    nodes: tuple[str, ...]
    n_frames: int
    n_frames_missed: int
    n_frames_empty: int
    n_frames_invented: int
    n_invented: int
    n_truth: int
    n_predicted: int
    n_points: NDArray[np.int64]
    n_points_predicted: int
    errors_px: NDArray[np.float64]
    in_truth: NDArray[np.bool_]
    in_prediction: NDArray[np.bool_]
    occluded: NDArray[np.bool_]
    oks: NDArray[np.float64]
    animal_size_px: float
    ranking: PrecisionRecall
    ranking_with_false_positives: PrecisionRecall
    ranking_by_pck: PrecisionRecall
    centroids: CentroidMatches

    # ------------------------------------------------------------------------ distances
    @property
    def error_mean(self) -> float:
        """Mean distance in px over all points that truth and prediction both have."""
        found = self.errors_px[~np.isnan(self.errors_px)]
        return float(found.mean()) if found.size else math.nan

    def error_percentile(self, percentile: float) -> float:
        """Return a percentile of the distance in px over all points that both have."""
        return _percentile(self.errors_px, percentile)

    @property
    def error_percentiles(self) -> NDArray[np.float64]:
        """`PERCENTILES` of the distance in px for each node, shape (K, 5)."""
        table = [[_percentile(errors, p) for p in PERCENTILES] for errors in self.errors_px.T]
        return np.array(table, np.float64).reshape(len(self.nodes), len(PERCENTILES))

    # ------------------------------------------------------------------------------ PCK
    def pck(self, distance_px: float) -> float:
        """Return the share of correct keypoints: predicted less than `distance_px` off.

        A share of all labelled points of the evaluated frames, so a missed point is
        wrong, in a matched instance or not. SLEAP counts matched instances alone, and
        there calls a node wrong even if the truth does not have it.
        """
        total = self.n_points.sum()
        return float((self.errors_px < distance_px).sum() / total) if total else math.nan

    @property
    def pck_per_node(self) -> NDArray[np.float64]:
        """PCK of every node at `PCK_THRESHOLDS_PX`, shape (K, 10); NaN if never labelled."""
        right = np.stack([(self.errors_px < d).sum(axis=0) for d in PCK_THRESHOLDS_PX], axis=1)
        labelled = np.where(self.n_points > 0, self.n_points, np.nan)
        return np.asarray(right / labelled[:, None])

    @property
    def mpck(self) -> float:
        """PCK over all points, averaged over `PCK_THRESHOLDS_PX`."""
        return float(np.mean([self.pck(distance) for distance in PCK_THRESHOLDS_PX]))

    def pck_of_size(self, share: float) -> float:
        """Return the PCK at a distance given as a share of `animal_size_px`."""
        return (
            math.nan if math.isnan(self.animal_size_px) else self.pck(share * self.animal_size_px)
        )

    # --------------------------------------------------------------- instances and points
    @property
    def n_matched(self) -> int:
        """Number of pairs M."""
        return len(self.oks)

    @property
    def mean_oks(self) -> float:
        """The mOKS: mean similarity of the pairs."""
        return float(self.oks.mean()) if self.oks.size else math.nan

    @property
    def visibility(self) -> dict[str, int]:
        """Points of the pairs by presence, as in SLEAP.

        ``tp`` in both, ``fp`` in the prediction only, ``fn`` in the truth only, ``tn`` in
        neither.
        """
        truth, prediction = self.in_truth, self.in_prediction
        return {
            "tp": int((truth & prediction).sum()),
            "fp": int((~truth & prediction).sum()),
            "tn": int((~truth & ~prediction).sum()),
            "fn": int((truth & ~prediction).sum()),
        }

    @property
    def visibility_precision(self) -> float:
        """Share of the predicted points of the pairs that the truth has, too."""
        counts = self.visibility
        return _ratio(counts["tp"], counts["tp"] + counts["fp"])

    @property
    def visibility_recall(self) -> float:
        """Share of the true points of the pairs that the prediction has, too."""
        counts = self.visibility
        return _ratio(counts["tp"], counts["tp"] + counts["fn"])

    @property
    def n_points_missed(self) -> NDArray[np.int64]:
        """Labelled points without a prediction, in pairs or not, shape (K,)."""
        return np.asarray(self.n_points - (self.in_truth & self.in_prediction).sum(axis=0))

    @property
    def false_point_rate(self) -> float:
        """Share of all predicted points, in pairs or not, that no labelled point matches."""
        matched = self.visibility["tp"]
        return _ratio(self.n_points_predicted - matched, self.n_points_predicted)

    # --------------------------------------------------------------------------- reports
    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain numbers, lists and dicts for JSON; NaN becomes None."""
        figures: dict[str, Any] = {
            "n_frames": self.n_frames,
            "n_frames_missed": self.n_frames_missed,
            "n_frames_empty": self.n_frames_empty,
            "n_frames_invented": self.n_frames_invented,
            "n_instances": self.n_truth,
            "n_predicted": self.n_predicted,
            "n_matched": self.n_matched,
            "n_missed": self.n_truth - self.n_matched,
            "n_false_positives": self.n_predicted - self.n_matched,
            "n_invented": self.n_invented,
            "mOKS": self.mean_oks,
            "mAP": self.ranking.mean_precision,
            "mAR": self.ranking.mean_recall,
            "mAP_with_false_positives": self.ranking_with_false_positives.mean_precision,
            "mAP_by_pck": self.ranking_by_pck.mean_precision,
            "mAR_by_pck": self.ranking_by_pck.mean_recall,
            "centroid_precision": self.centroids.precision,
            "centroid_recall": self.centroids.recall,
            "centroid_error_p50": _percentile(self.centroids.errors_px, 50),
            "centroid_distance_px": self.centroids.max_distance_px,
            "error_mean": self.error_mean,
            **{f"error_p{p}": self.error_percentile(p) for p in PERCENTILES},
            **{f"pck{d:.0f}": self.pck(d) for d in PCK_THRESHOLDS_PX},
            "mpck": self.mpck,
            "animal_size_px": self.animal_size_px,
            "error_p50_of_size": self.error_percentile(50) / self.animal_size_px,
            "pck_5_percent_of_size": self.pck_of_size(0.05),
            "pck_10_percent_of_size": self.pck_of_size(0.10),
            "visibility": self.visibility,
            "visibility_precision": self.visibility_precision,
            "visibility_recall": self.visibility_recall,
            "n_points": int(self.n_points.sum()),
            "n_points_missed": int(self.n_points_missed.sum()),
            "n_points_occluded": int(self.occluded.sum()),
            "error_p50_visible": _percentile(self.errors_px[~self.occluded], 50),
            "error_p50_occluded": _percentile(self.errors_px[self.occluded], 50),
            "false_point_rate": self.false_point_rate,
            "nodes": self._node_figures(),
        }
        return {key: _for_json(value) for key, value in figures.items()}

    def _node_figures(self) -> dict[str, dict[str, Any]]:
        percentiles, pck, missed = self.error_percentiles, self.pck_per_node, self.n_points_missed
        return {
            node: {
                "n_points": int(self.n_points[k]),
                "n_points_missed": int(missed[k]),
                **{f"error_p{p}": float(percentiles[k, i]) for i, p in enumerate(PERCENTILES)},
                **{f"pck{d:.0f}": float(pck[k, i]) for i, d in enumerate(PCK_THRESHOLDS_PX)},
            }
            for k, node in enumerate(self.nodes)
        }


def _percentile(values: NDArray[np.float64], percentile: float) -> float:
    """Percentile of the values that are not NaN; NaN of none."""
    present = values[~np.isnan(values)]
    return float(np.percentile(present, percentile)) if present.size else math.nan


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _for_json(value: Any) -> Any:
    """Replace NaN, which JSON does not know, by None, through nested dicts."""
    if isinstance(value, dict):
        return {key: _for_json(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
