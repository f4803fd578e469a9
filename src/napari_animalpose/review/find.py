"""All finders at once, and one entry for each problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from napari_animalpose.config import ReviewConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.store import pack
from napari_animalpose.errors import CancelledError
from napari_animalpose.registry import Registry
from napari_animalpose.review.evidence import Evidence
from napari_animalpose.review.findings import Findings

__all__ = ["FINDERS", "find_errors", "join_causes"]

Finder = Callable[[Evidence], Findings]

# Each takes evidence of at least one row and returns episodes of its own kind; one that
# lacks what it works on (symmetries, edges, scores, variances, tracks) finds nothing.
FINDERS: Registry[Finder] = Registry("finder of errors")
_HERE = "napari_animalpose.review.finders"
FINDERS.register("switch", f"{_HERE}.switches:find_switches")
FINDERS.register("leap", f"{_HERE}.leaps:find_leaps")
FINDERS.register("appearance", f"{_HERE}.appearances:find_appearance_changes")
FINDERS.register("duplicate", f"{_HERE}.duplicates:find_duplicates")
FINDERS.register("flip", f"{_HERE}.flips:find_flips")
FINDERS.register("jump", f"{_HERE}.jumps:find_jumps")
FINDERS.register("limb", f"{_HERE}.limbs:find_odd_limbs")
FINDERS.register("count", f"{_HERE}.counts:find_wrong_counts")
FINDERS.register("variance", f"{_HERE}.variances:find_high_variance")
FINDERS.register("score", f"{_HERE}.scores:find_low_scores")

_SHORT_FRAMES = 30  # what happens within so short an episode belongs to it
_NEAR_FRAMES = 2  # two suspicions about one animal, so close in time, have one cause


def find_errors(
    poses: Poses,
    *,
    config: ReviewConfig | None = None,
    kinds: Iterable[str] | None = None,
    variance: ArrayLike | None = None,
    appearance: ArrayLike | None = None,
    n_frames: Sequence[int] | None = None,
    one_entry_per_problem: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Findings:
    """Return what is probably wrong in a table of poses, the worst first.

    Parameters
    ----------
    poses : Poses
        Predictions, labels or both; in frames with labels, predictions that they stand
        for do not count.
    config : ReviewConfig, optional
    kinds : iterable of str, optional
        Names in `FINDERS`; by default all.
    variance : array_like of float, shape (N, K) or (N, K, 2), optional
        Posterior variance of every point in px^2, as a Kalman smoother gives it.
    appearance : array_like of float, shape (N, D), optional
        What every instance looks like, as class vectors are.
    n_frames : sequence of int, optional
        Lengths of the videos, to know frames at their ends that have no animal.
    one_entry_per_problem : bool
        Join suspicions of several kinds about one animal at one moment (`join_causes`).
    on_progress : callable, optional
        Called with (finders done, all finders).
    should_stop : callable, optional
        Asked before each finder.

    Raises
    ------
    ConfigError
        If there is no finder of one of the names.
    DataError
        If variance or appearance do not fit the table.
    CancelledError
        If `should_stop` said so.
    """
    names = list(FINDERS.names() if kinds is None else dict.fromkeys(kinds))
    finders = [FINDERS.get(name) for name in names]
    evidence = Evidence(
        poses, config or ReviewConfig(), variance=variance, appearance=appearance, n_frames=n_frames
    )
    nothing = Findings.build(
        frame=[], video=[], kind=[], nodes=poses.skeleton.nodes, track_names=poses.track_names
    )
    found = [nothing]
    for done, finder in enumerate(finders if len(evidence) else ()):
        if should_stop is not None and should_stop():
            raise CancelledError
        found.append(finder(evidence))
        if on_progress is not None:
            on_progress(done + 1, len(finders))
    findings = _count_instances(Findings.concat(found).ranked(), poses)
    near = _NEAR_FRAMES * evidence.stride
    return join_causes(findings, near) if one_entry_per_problem else findings


def _count_instances(findings: Findings, poses: Poses) -> Findings:
    """Note how many rows each frame has in which something was found."""
    keys, frames = pack(poses.video, poses.frame), pack(findings.video, findings.frame)
    count = keys.searchsorted(frames, side="right") - keys.searchsorted(frames)
    return replace(findings, n_instances=count.astype(np.int32))


def join_causes(findings: Findings, max_gap: int = _NEAR_FRAMES) -> Findings:
    """Keep the most severe of the entries that are about one animal at one moment.

    Two entries are if they name a common animal, or neither names one, and the lesser one
    shows most at most `max_gap` frames from where the other does, or from its episode if
    that is short. The kinds of those left out are told in `also`.
    """
    ranked = findings.ranked()
    kept: list[int] = []
    also: dict[int, list[str]] = {}
    places: dict[tuple[int, int, int], list[int]] = {}  # (video, track, frame) -> kept rows
    columns = [getattr(ranked, name).tolist() for name in _PLACE]
    for row, (video, frame, first, last, track, other, kind) in enumerate(
        zip(*columns, strict=True)
    ):
        tracks = {track, other} - {-1} or {-1}
        near = range(frame - max_gap, frame + max_gap + 1)
        causes = [c for t in tracks for f in near for c in places.get((video, t, f), ())]
        if causes:
            also.setdefault(min(causes), []).append(kind)
            continue
        kept.append(row)
        covered = range(first, last + 1) if last - first < _SHORT_FRAMES else (frame,)
        for number, moment in product(tracks, covered):
            places.setdefault((video, number, moment), []).append(row)
    texts = np.array([_tell_others(ranked.kind[row], also.get(row, [])) for row in kept], object)
    return replace(ranked.select(kept), also=texts)


_PLACE = ("video", "frame", "first", "last", "track", "other_track", "kind")


def _tell_others(kind: str, others: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(other for other in others if other != kind))
