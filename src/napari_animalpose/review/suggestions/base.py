"""What every suggester is given, what it returns, and the rules that all obey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.config import ReviewConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.store import pack, unpack
from napari_animalpose.data.video import Video
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.registry import Registry
from napari_animalpose.review.evidence import Evidence
from napari_animalpose.review.find import find_errors
from napari_animalpose.review.findings import Findings

__all__ = [
    "SUGGESTERS",
    "Candidates",
    "Request",
    "Suggestions",
    "choose_spaced",
    "share_out",
    "suggest_frames",
]

Keys = NDArray[np.int64]

_LARGEST_SEED = 2**32 - 1  # of scikit-learn


class Candidates(NamedTuple):
    """Frames in the order in which they are to be taken, as keys of `data.store.pack`."""

    keys: Keys
    reasons: Sequence[str]


@dataclass(frozen=True, eq=False)
class Suggestions:
    """Frames proposed for labelling, in the order to go through them.

    Attributes
    ----------
    frames : array of int32, shape (S, 2)
        (video, frame), as `Project.suggestions` takes it.
    reasons : tuple of str
        Why each one, in a sentence.
    method : str
        Name in `SUGGESTERS`.
    """

    frames: NDArray[np.int32]
    reasons: tuple[str, ...]
    method: str

    def __len__(self) -> int:
        return len(self.frames)

    def to_records(self) -> list[dict[str, Any]]:
        """Return one dict of plain values for each suggestion."""
        return [
            {"rank": rank + 1, "video": video, "frame": frame, "reason": reason}
            for rank, ((video, frame), reason) in enumerate(
                zip(self.frames.tolist(), self.reasons, strict=True)
            )
        ]


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked for, and from what.

    Attributes
    ----------
    videos : tuple of Video
    poses : Poses
    count : int
        How many frames are wanted.
    taken : array of int64, shape (F,)
        Sorted keys of frames that are not to be suggested.
    chosen_videos : array of int
        Numbers of the videos to choose from, ascending.
    min_spacing_frames : int
    seed : int
    config : ReviewConfig
    given_findings : Findings, optional
    image_feature : str
        Name in `features.IMAGE_FEATURES`.
    """

    videos: tuple[Video, ...]
    poses: Poses
    count: int
    taken: Keys
    chosen_videos: NDArray[np.int64]
    min_spacing_frames: int
    seed: int
    config: ReviewConfig
    given_findings: Findings | None = None
    image_feature: str = "pixels"

    @property
    def generator(self) -> np.random.Generator:
        """A fresh generator: the same for the same seed."""
        return np.random.default_rng(self.seed)

    @cached_property
    def evidence(self) -> Evidence:
        """The poses as finders see them."""
        return Evidence(self.poses, self.config)

    @cached_property
    def findings(self) -> Findings:
        """The suspected errors, searched for unless given."""
        if self.given_findings is not None:
            return self.given_findings
        return find_errors(self.poses, config=self.config)

    def n_frames(self, video: int) -> int:
        """Return the length of a video."""
        return len(self.videos[video])

    def admits(self, keys: Keys) -> NDArray[np.bool_]:
        """Say which frames may be suggested: of a chosen video, not taken, (F,).

        Spacing is another matter: see `choose_spaced`.
        """
        return np.isin(keys >> 32, self.chosen_videos) & ~np.isin(keys, self.taken)


Suggester = Callable[[Request], Candidates]

# Each takes a `Request` and returns candidates, the first to be taken first. It may return
# more than are wanted, so that those too near to others can be passed over.
SUGGESTERS: Registry[Suggester] = Registry("way to suggest frames")
_HERE = "napari_animalpose.review.suggestions"
SUGGESTERS.register("diverse", f"{_HERE}.diverse:suggest_diverse")
SUGGESTERS.register("findings", f"{_HERE}.errors:suggest_findings")
SUGGESTERS.register("score", f"{_HERE}.score:suggest_low_scores")
SUGGESTERS.register("velocity", f"{_HERE}.velocity:suggest_fast_frames")
SUGGESTERS.register("image", f"{_HERE}.images:suggest_by_image")
SUGGESTERS.register("even", f"{_HERE}.even:suggest_evenly")
SUGGESTERS.register("random", f"{_HERE}.at_random:suggest_at_random")


def suggest_frames(
    project: Project,
    count: int = 20,
    method: str = "diverse",
    *,
    seed: int = 0,
    min_spacing_frames: int = 10,
    videos: Sequence[int] | None = None,
    exclude: ArrayLike = (),
    image_feature: str = "pixels",
    config: ReviewConfig | None = None,
    findings: Findings | None = None,
) -> Suggestions:
    """Propose frames for labelling.

    Parameters
    ----------
    project : Project
        Videos and poses. The frames that have a label, or are marked as empty, are never
        proposed.
    count : int
        How many; fewer come back where there are no more so far apart.
    method : str
        Name in `SUGGESTERS`: ``diverse`` (different situations among the uncertain
        frames), ``findings`` (suspected errors), ``score`` (low confidence), ``velocity``
        (fast movement), ``image`` (typical pictures), ``even`` or ``random``.
    seed : int
        From 0 to 2^32 - 1; the same seed gives the same frames.
    min_spacing_frames : int
        Least distance in time to any other proposed, labelled or excluded frame of the
        same video; 0 or 1 means no such rule.
    videos : sequence of int, optional
        Numbers of the videos to choose from; by default all.
    exclude : array_like of int, shape (F, 2)
        (video, frame) of more frames not to propose: `project.suggestions`, to extend
        them.
    image_feature : str
        Name in `features.IMAGE_FEATURES`, for ``image`` and ``diverse``: ``pixels`` or
        ``hog``.
    config : ReviewConfig, optional
        What counts as an error, for ``findings`` and ``diverse``.
    findings : Findings, optional
        What `find_errors` returned for the same poses, to spare the search.

    Raises
    ------
    ConfigError
        For a name or number that is not allowed.
    DataError
        If the method needs poses or predictions and there are none, or there is no video.
    VideoError
        If the method looks at pictures, or at the length of a video, and it is missing.
    """
    if count < 1:
        raise ConfigError(f"Expected at least one frame to suggest; received {count}.")
    if min_spacing_frames < 0:
        raise ConfigError(f"Expected a spacing of at least 0; received {min_spacing_frames}.")
    if not 0 <= seed <= _LARGEST_SEED:
        raise ConfigError(f"Expected a seed from 0 to {_LARGEST_SEED}; received {seed}.")
    numbers = np.arange(len(project.videos)) if videos is None else np.unique(np.asarray(videos))
    if not len(numbers) or not 0 <= numbers.min() <= numbers.max() < len(project.videos):
        raise DataError(
            f"Expected videos from 0 to {len(project.videos) - 1}; received {numbers.tolist()}."
        )
    suggester = SUGGESTERS.get(method)
    excluded = np.asarray(exclude, np.int64).reshape(-1, 2)
    taken = np.concatenate([project.labeled_frames(), project.negative_frames, excluded])
    request = Request(
        videos=project.videos,
        poses=project.poses,
        count=count,
        taken=np.unique(pack(taken[:, 0], taken[:, 1])),
        chosen_videos=numbers.astype(np.int64),
        min_spacing_frames=min_spacing_frames,
        seed=seed,
        config=config or ReviewConfig(),
        given_findings=findings,
        image_feature=image_feature,
    )
    candidates = suggester(request)
    chosen = choose_spaced(request, candidates.keys)
    frames = unpack(candidates.keys[chosen]).astype(np.int32)
    return Suggestions(frames, tuple(candidates.reasons[i] for i in chosen.tolist()), method)


def choose_spaced(request: Request, keys: Keys, count: int | None = None) -> NDArray[np.intp]:
    """Return which candidates to take: in order, admitted and far enough from one another.

    Parameters
    ----------
    request : Request
    keys : array of int64, shape (M,)
        In order of preference.
    count : int, optional
        The most to take; by default as many as are wanted.
    """
    limit = request.count if count is None else count
    spacing = max(request.min_spacing_frames, 1)
    occupied: dict[int, list[int]] = {}  # (video, frame // spacing) -> frames
    for key in request.taken.tolist():
        occupied.setdefault(_cell(key, spacing), []).append(key)
    chosen = []
    admitted = request.admits(keys)
    for index in np.flatnonzero(admitted).tolist():
        key = int(keys[index])
        cell = _cell(key, spacing)
        near = [k for c in (cell - 1, cell, cell + 1) for k in occupied.get(c, ())]
        if any(abs(key - other) < spacing for other in near):
            continue
        occupied.setdefault(cell, []).append(key)
        chosen.append(index)
        if len(chosen) == limit:
            break
    return np.array(chosen, np.intp)


def _cell(key: int, spacing: int) -> int:
    """Number stretches of one spacing each; those of different videos are never neighbours."""
    return ((key >> 32) << 33) + (key & 0xFFFFFFFF) // spacing


def share_out(count: int, sizes: Sequence[int]) -> list[int]:
    """Share a number out in proportion to sizes, none beyond its size (largest remainder).

    Each size that is not 0 gets at least one where `count` suffices.
    """
    total = sum(sizes)
    count = min(count, total)
    if not total:
        return [0] * len(sizes)
    exact = [count * size / total for size in sizes]
    least = 1 if count >= sum(size > 0 for size in sizes) else 0
    shares = [min(max(int(share), least), size) for share, size in zip(exact, sizes, strict=True)]
    while sum(shares) != count:
        step = 1 if sum(shares) < count else -1
        open_ = [
            i for i, size in enumerate(sizes)
            if (shares[i] < size if step > 0 else shares[i] > min(least, size))
        ]  # fmt: skip
        best = max(open_, key=lambda i: step * (exact[i] - shares[i]))
        shares[best] += step
    return shares
