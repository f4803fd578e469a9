"""How well identities are kept, against identities that are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.oks import compute_areas, compute_oks
from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import DataError
from napari_animalpose.tracking.hota import FramePair, Hota, compute_hota

__all__ = ["IDENTITY_STDDEV", "Switch", "TrackEvaluation", "evaluate_tracks"]

# Who an animal is does not hang on its points to the pixel: OKS falls to one half where
# they lie a quarter (0.235) of the animal's size away. SLEAP's 0.025 asks for 6 %, which
# two networks, and two people, do not agree on for the tips of legs.
IDENTITY_STDDEV = 0.1
UNKNOWN_AREA_PX2 = 100.0**2  # where no instance has an area, as for skeletons of one point


class Switch(NamedTuple):
    """A frame in which a true animal is found under another identity than before."""

    video: int
    frame: int
    animal: str
    before: str
    after: str


@dataclass(frozen=True)
class TrackEvaluation:
    """What `evaluate_tracks` measured; shares are between 0 and 1.

    Parameters
    ----------
    n_frames : int
        Frames that were compared.
    n_truth, n_predicted : int
        Instances with an identity in them.
    n_truth_tracks, n_predicted_tracks : int
        Identities, counted anew in every video.
    n_switches, n_fragments : int
        CLEAR MOT: how often an animal is found under another identity than last time;
        how often it is lost and found again.
    mota : float
        1 - (missed + false + switches) / true instances; negative where errors outnumber
        the animals.
    idf1, idp, idr : float
        F1, precision and recall of instances under the best one-to-one pairing of
        identities over the whole video.
    hota, deta, assa, loca : float
        Means over the thresholds of `curves`.
    curves : Hota
        The same and more at every threshold.
    switches : tuple of Switch
        In order of frames.
    """

    n_frames: int
    n_truth: int
    n_predicted: int
    n_truth_tracks: int
    n_predicted_tracks: int
    n_switches: int
    n_fragments: int
    mota: float
    idf1: float
    idp: float
    idr: float
    hota: float
    deta: float
    assa: float
    loca: float
    curves: Hota
    switches: tuple[Switch, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data for JSON, without the curves."""
        values = {key: value for key, value in vars(self).items() if key != "curves"}
        return values | {"switches": [switch._asdict() for switch in self.switches]}


def evaluate_tracks(
    predicted: Poses,
    truth: Poses,
    *,
    frames: ArrayLike | None = None,
    stddev: float = IDENTITY_STDDEV,
    min_oks: float = 0.5,
) -> TrackEvaluation:
    """Compare identities with true ones: CLEAR MOT, IDF1 and HOTA with OKS as similarity.

    Instances without an identity are left out on both sides, so that an animal without one
    counts as missed. Identities of equal name in two videos count as two.

    Parameters
    ----------
    predicted, truth : Poses
        Of the same nodes in the same order; video and frame numbers mean the same.
    frames : array_like of int, shape (F, 2), optional
        (video, frame) to compare: in frames without true animals everything is false. By
        default the frames that have true instances.
    stddev : float
        Spread of the object keypoint similarity as a share of the animal's size, which is
        the square root of the median box area of the true track.
    min_oks : float
        Similarity that a pair needs for CLEAR MOT and IDF1; HOTA goes through all.

    Raises
    ------
    DataError
        If nodes differ, truth has no identities, or one is twice in a frame.

    Notes
    -----
    CLEAR MOT (Bernardin and Stiefelhagen, 2008) and identity scores (Ristani et al., 2016)
    are py-motmetrics'; HOTA is computed in `tracking.hota`.
    """
    if predicted.skeleton.nodes != truth.skeleton.nodes:
        raise DataError(
            f"Expected the nodes {', '.join(truth.skeleton.nodes)} in both tables; received "
            f"{', '.join(predicted.skeleton.nodes)}. Map the nodes onto one skeleton first."
        )
    if frames is None:
        keys = np.unique(_pack_rows(truth)[truth.track >= 0])
    else:
        keys = _pack_frames(frames)
    true, found = _Side(truth, keys, "truth"), _Side(predicted, keys, "tracks")
    if not len(true.identity):
        raise DataError("Expected true instances with a track; received none. Name them first.")
    pairs = list(_compare_frames(true, found, stddev))
    curves = compute_hota(pairs, len(true.names), len(found.names))
    values, switches = _measure_clear_mot(pairs, keys, min_oks, true.names, found.names)
    return TrackEvaluation(
        n_frames=len(keys),
        n_truth=len(true.identity),
        n_predicted=len(found.identity),
        n_truth_tracks=len(true.names),
        n_predicted_tracks=len(found.names),
        **values,
        hota=float(curves.hota.mean()),
        deta=float(curves.deta.mean()),
        assa=float(curves.assa.mean()),
        loca=float(curves.loca.mean()),
        curves=curves,
        switches=switches,
    )


class _Side:
    """The instances of one table that have an identity and lie in the frames to compare."""

    def __init__(self, poses: Poses, keys: NDArray[np.int64], what: str) -> None:
        row_keys = _pack_rows(poses)
        rows = np.flatnonzero((poses.track >= 0) & np.isin(row_keys, keys))
        tracks = (poses.video[rows].astype(np.int64) << 32) | poses.track[rows]
        found, self.identity = np.unique(tracks, return_inverse=True)
        self.names = [poses.track_names[int(track) & 0xFFFFFFFF] for track in found]
        self.xy = np.asarray(poses.xy[rows], np.float64)
        starts = np.searchsorted(row_keys[rows], keys)
        stops = np.searchsorted(row_keys[rows], keys, "right")
        self.slices = [slice(a, b) for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
        once = np.unique(np.stack([row_keys[rows], self.identity]), axis=1).shape[1]
        if once < len(rows):
            raise DataError(
                f"Expected every identity once in a frame of the {what}; received one twice. "
                "Remove or rename the second instance."
            )


def _pack_rows(poses: Poses) -> NDArray[np.int64]:
    """One ascending int64 for each row, equal for rows of one frame."""
    return (poses.video.astype(np.int64) << 32) | poses.frame


def _pack_frames(frames: ArrayLike) -> NDArray[np.int64]:
    """The same for frames as (video, frame) pairs (F, 2), each once."""
    pairs = np.asarray(frames, np.int64).reshape(-1, 2)
    return np.unique((pairs[:, 0] << 32) | pairs[:, 1])


def _find_sizes(side: _Side) -> NDArray[np.float64]:
    """Median box area in px^2 of the track of every instance."""
    area = compute_areas(side.xy)
    measured = area[area > 0]
    fallback = float(np.median(measured)) if measured.size else UNKNOWN_AREA_PX2
    sizes = np.full(len(side.names), fallback)
    for track in range(len(side.names)):
        own = area[(side.identity == track) & (area > 0)]
        if own.size:
            sizes[track] = np.median(own)
    return sizes[side.identity]


def _compare_frames(truth: _Side, predicted: _Side, stddev: float) -> Iterator[FramePair]:
    """Yield identities and OKS of every frame."""
    area = _find_sizes(truth)
    for here, there in zip(truth.slices, predicted.slices, strict=True):
        oks = compute_oks(truth.xy[here], predicted.xy[there], area_px2=area[here], stddev=stddev)
        yield FramePair(truth.identity[here], predicted.identity[there], oks)


def _measure_clear_mot(
    pairs: list[FramePair],
    keys: NDArray[np.int64],
    min_oks: float,
    animals: list[str],
    identities: list[str],
) -> tuple[dict[str, Any], tuple[Switch, ...]]:
    """Return the figures of py-motmetrics by our names, and every switch."""
    import motmetrics

    accumulator = motmetrics.MOTAccumulator()
    for number, (truth, predicted, oks) in enumerate(pairs):
        distance = np.where(oks >= min_oks, 1 - oks, np.nan)
        accumulator.update(truth, predicted, distance, frameid=number)
    wanted = {
        "num_switches": "n_switches",
        "num_fragmentations": "n_fragments",
        "mota": "mota",
        "idf1": "idf1",
        "idp": "idp",
        "idr": "idr",
    }
    host = motmetrics.metrics.create()
    row = host.compute(accumulator, metrics=list(wanted), return_dataframe=False)
    values = {ours: float(row[theirs]) for theirs, ours in wanted.items()}
    values |= {name: int(values[name]) for name in ("n_switches", "n_fragments")}
    return values, tuple(_list_switches(accumulator.mot_events, keys, animals, identities))


def _list_switches(
    events: Any, keys: NDArray[np.int64], animals: list[str], identities: list[str]
) -> Iterator[Switch]:
    last: dict[int, int] = {}
    found = events[events["Type"].isin(["MATCH", "SWITCH"])]
    frames = found.index.get_level_values(0).to_numpy()
    for number, kind, animal, identity in zip(
        frames, found["Type"], found["OId"], found["HId"], strict=True
    ):
        animal, identity = int(animal), int(identity)
        if kind == "SWITCH":
            yield Switch(
                video=int(keys[number] >> 32),
                frame=int(keys[number] & 0xFFFFFFFF),
                animal=animals[animal],
                before=identities[last[animal]],
                after=identities[identity],
            )
        last[animal] = identity
