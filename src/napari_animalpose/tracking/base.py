"""What every tracker does; how it foresees the place of an animal is one file each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_animalpose.config import TrackConfig
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.registry import Registry
from napari_animalpose.tracking.assignment import ASSIGNMENTS
from napari_animalpose.tracking.comparison import Candidates, compare_instances, compare_tracks
from napari_animalpose.tracking.costs import COSTS
from napari_animalpose.tracking.identities import NONE, IdentityBook, Naming
from napari_animalpose.tracking.motion import DRIFT_FRAMES, MotionScale
from napari_animalpose.tracking.table import TrackTable

__all__ = ["TRACKERS", "Candidates", "Instances", "Step", "Tracker"]

TRACKERS: Registry[type[Tracker]] = Registry("tracker")
for _name in ("window", "flow", "kalman"):
    TRACKERS.register(_name, f"napari_animalpose.tracking.{_name}:{_name.capitalize()}Tracker")

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
CLASS_MEMORY = 0.9  # of the mean class vector of a track, at each instance


@dataclass(frozen=True)
class Instances:
    """The instances of one frame.

    Parameters
    ----------
    xy : array of float, shape (I, K, 2)
        (x, y) in px; NaN = missing.
    score : array of float, shape (I,), optional
        Confidence; NaN = none.
    classes : array of float, shape (I, A), optional
        Class probabilities, or any vectors whose cosine tells animals apart; NaN = unknown.
    anchor : array of int, shape (I,), optional
        What a person said: instances of one number from 0 are one animal; -1 = unsaid.
    """

    xy: NDArray[np.floating]
    score: NDArray[np.floating] | None = None
    classes: NDArray[np.floating] | None = None
    anchor: NDArray[np.integer] | None = None

    def __len__(self) -> int:
        return len(self.xy)


class Step(NamedTuple):
    """What a tracker says about one frame.

    Parameters
    ----------
    identity : array of int64, shape (I,)
        Identity of every instance, from 0; -1 = none (yet).
    tracklet : array of int64, shape (I,)
        Number of the unbroken piece of a track that it belongs to; -1 = of none.
    score : array of float64, shape (I,)
        Probability of this choice among all tracks that come into question and none of
        them, between 0 and 1; NaN without tracklet.
    named : tuple of Naming
        Tracklets, seen already in earlier frames, whose identity has become clear.
    """

    identity: Numbers
    tracklet: Numbers
    score: Floats
    named: tuple[Naming, ...]


class Tracker(ABC):
    """Gives the instances of one frame after another their identities.

    The memory is a table of the tracks in sight and lately lost; nothing grows with the
    length of the video.

    Parameters
    ----------
    n_nodes : int
        Number of points K.
    config : TrackConfig, optional
    n_classes : int
        Length A of the class vectors of instances.

    Notes
    -----
    An animal goes through three states. An instance that no track expects starts a
    *tracklet* without identity; seen in `TrackConfig.confirm_frames` frames, the tracklet
    is *named*: with a new identity, or, where the number of animals is known and reached,
    with the most plausible of those that are free. A named track out of sight is *lost*,
    and comes back where it is expected, less and less closely, until it ends or, with a
    known number of animals, waits to be taken over.
    """

    summary: ClassVar[str]
    needs_images: ClassVar[bool] = False

    def __init__(
        self, n_nodes: int, config: TrackConfig | None = None, *, n_classes: int = 0
    ) -> None:
        self.config = config or TrackConfig()
        self.n_nodes, self.n_classes = n_nodes, n_classes
        if n_nodes == 1 and not self.config.body_length_px:
            raise ConfigError(
                "Expected body_length_px for a skeleton of one point, which shows no size; "
                "received 0. Set the length of an animal in px: body_length_px=..."
            )
        self.motion = MotionScale(self.config.body_length_px, self.config.motion_fraction)
        self.tracks = TrackTable(
            {
                "tracklet": (np.int64, ()),
                "identity": (np.int64, ()),
                "anchor": (np.int64, ()),
                "first": (np.int64, ()),
                "last": (np.int64, ()),
                "hits": (np.int64, ()),
                "xy": (np.float64, (n_nodes, 2)),
                "mark_xy": (np.float64, (n_nodes, 2)),
                "mark": (np.int64, ()),
                "classes": (np.float64, (n_classes,)),
                **self.columns(),
            }
        )
        self.identities = IdentityBook(self.tracks, self.config)
        self._frame = NONE
        for cost in self.config.costs:
            COSTS.get(cost)  # refuse an unknown name now and not in the second frame
        self._assign = ASSIGNMENTS.get(self.config.assignment)
        # A pair at the gate costs as much as leaving both without partner.
        self._limit = float(np.log1p(self.config.gate_spreads**2 / 2.0))

    # ------------------------------------------------------- what a tracker has to say
    @abstractmethod
    def columns(self) -> Mapping[str, tuple[DTypeLike, tuple[int, ...]]]:
        """Return what it remembers of a track: type and shape by name."""

    @abstractmethod
    def expect(self, frame: int, image: NDArray[np.uint8] | None) -> Candidates:
        """Return where all tracks are expected in a frame; asked once for every frame."""

    @abstractmethod
    def start(self, rows: NDArray[np.intp], xy: Floats, frame: int) -> None:
        """Begin tracks (rows of the table) with poses (R, K, 2) of one point at least."""

    @abstractmethod
    def observe(self, rows: NDArray[np.intp], xy: Floats, frame: int) -> None:
        """Take in the poses (R, K, 2) in which tracks, last seen in ``last``, are seen."""

    # --------------------------------------------------------------------- what it does
    @property
    def nbytes(self) -> int:
        """Memory that the tracker holds, in bytes."""
        return self.tracks.nbytes

    def update(
        self,
        instances: Instances,
        image: NDArray[np.uint8] | None = None,
        *,
        frame: int | None = None,
    ) -> Numbers:
        """Return the identity of every instance of the next frame.

        Parameters
        ----------
        instances : Instances
            With I instances of K points.
        image : array of uint8, shape (H, W, C), optional
            Only some trackers look at it.
        frame : int, optional
            Number of the frame, by default one more than the last.

        Returns
        -------
        array of int64, shape (I,)
            Identities from 0, each at most once; -1 for instances without.

        Raises
        ------
        DataError
            If shapes do not fit, frames do not ascend, or an image is needed.
        """
        return self.follow(instances, image, frame=frame).identity

    def follow(
        self,
        instances: Instances,
        image: NDArray[np.uint8] | None = None,
        *,
        frame: int | None = None,
    ) -> Step:
        """Do what `update` does and tell more about it; the same arguments."""
        frame = self._next_frame(frame)
        xy = self._check(instances)
        here = np.flatnonzero(~np.isnan(xy[..., 0]).all(axis=1))
        self.motion.measure(xy[here])
        self.identities.forget(frame)
        cost, surprise = self._compare(xy, here, instances.classes, frame, image)
        allowed = self._lead_by_anchors(cost, instances.anchor)
        match = self._match(allowed)
        score = self._rate(allowed, match)
        namings = self.identities.absorb(cost, match)
        self._take_in(match, cost, surprise, instances, xy, frame)
        self._begin(match, here, instances, xy, frame)
        namings += self.identities.name(frame, self._compare_tracks)
        found = match >= 0
        return Step(
            identity=np.where(found, self._look_up("identity", match), NONE),
            tracklet=np.where(found, self._look_up("tracklet", match), NONE),
            score=np.where(found, score, np.nan),
            named=tuple(namings),
        )

    # ------------------------------------------------------------------------ its steps
    def _next_frame(self, frame: int | None) -> int:
        number = self._frame + 1 if frame is None else int(frame)
        if number <= self._frame:
            raise DataError(
                f"Expected a frame after {self._frame}; received {number}. Give the frames in "
                "ascending order, or start anew with another tracker."
            )
        self._frame = number
        return number

    def _check(self, instances: Instances) -> Floats:
        """Return the points with both coordinates NaN where one is."""
        xy = np.array(instances.xy, np.float64)
        if xy.ndim != 3 or xy.shape[1:] != (self.n_nodes, 2):
            raise DataError(
                f"Expected points of shape (I, {self.n_nodes}, 2); received {xy.shape}."
            )
        shapes = {"score": (), "classes": (self.n_classes,), "anchor": ()}
        for name, shape in shapes.items():
            values = getattr(instances, name)
            if values is not None and np.shape(values) != (len(xy), *shape):
                raise DataError(
                    f"Expected {name} of shape {(len(xy), *shape)}; received {np.shape(values)}."
                )
        if instances.anchor is not None:
            said = np.asarray(instances.anchor)[np.asarray(instances.anchor) >= 0]
            if len(np.unique(said)) < len(said):
                raise DataError(
                    "Expected every anchor once in a frame; received one twice. One animal is "
                    "in one place."
                )
        xy[~np.isfinite(xy).all(axis=-1)] = np.nan
        return xy

    def _compare(
        self,
        xy: Floats,
        here: NDArray[np.intp],
        classes: NDArray[np.floating] | None,
        frame: int,
        image: NDArray[np.uint8] | None,
    ) -> tuple[Floats, Floats]:
        """Return cost and surprise of every instance with every track (I, T)."""
        cost = np.full((len(xy), len(self.tracks)), np.inf)
        surprise = np.full_like(cost, np.nan)
        candidates = self.expect(frame, image)
        if here.size and len(self.tracks):
            cost[here], surprise[here] = compare_instances(
                xy[here],
                None if classes is None else np.asarray(classes, np.float64)[here],
                candidates,
                self.tracks["classes"] if self.n_classes else None,
                len(self.tracks),
                self.motion,
                self.config,
            )
        return cost, surprise

    def _lead_by_anchors(self, cost: Floats, anchor: NDArray[np.integer] | None) -> Floats:
        """Return costs that leave an anchored instance no choice."""
        if anchor is None or not (np.asarray(anchor) >= 0).any():
            return cost
        cost = cost.copy()
        anchored = np.flatnonzero(np.asarray(anchor) >= 0)
        owner = self.tracks["anchor"]
        cost[np.ix_(anchored, np.flatnonzero(owner >= 0))] = np.inf
        for instance in anchored:
            row = np.flatnonzero(owner == anchor[instance])
            if row.size:
                cost[instance], cost[:, row[0]] = np.inf, np.inf
                cost[instance, row[0]] = 0.0
        return cost

    def _match(self, cost: Floats) -> NDArray[np.intp]:
        """Return the row of the table for every instance: first tracks with a name choose."""
        match = np.full(len(cost), NONE, np.intp)
        named = self.tracks["identity"] >= 0
        for rows in (np.flatnonzero(named), np.flatnonzero(~named)):
            free = np.flatnonzero(match < 0)
            if free.size and rows.size:
                instances, tracks = self._assign(cost[np.ix_(free, rows)], self._limit)
                match[free[instances]] = rows[tracks]
        return match

    def _rate(self, cost: Floats, match: NDArray[np.intp]) -> Floats:
        """Return the probability of every choice among all choices of that instance."""
        none = np.exp(-self._limit)
        likelihood = np.exp(-cost)  # 0 for pairs that must not be
        found = match >= 0
        chosen = np.full(len(cost), none)
        chosen[found] = likelihood[np.flatnonzero(found), match[found]]
        return np.asarray(chosen / (likelihood.sum(axis=1) + none))

    def _take_in(
        self,
        match: NDArray[np.intp],
        cost: Floats,
        surprise: Floats,
        instances: Instances,
        xy: Floats,
        frame: int,
    ) -> None:
        """Learn from the instances that were matched."""
        found = np.flatnonzero(match >= 0)
        expected = np.isfinite(cost[found, match[found]])
        usual, led = found[expected], found[~expected]
        self.motion.learn(surprise[usual, match[usual]])
        self.observe(match[usual], xy[usual], frame)
        if led.size:  # an anchor took it where it was not expected
            self.start(match[led], xy[led], frame)
        self._remember(match[found], found, instances, xy, frame)
        rows = match[usual]
        rows = rows[frame - self.tracks["mark"][rows] >= DRIFT_FRAMES]
        exact = rows[frame - self.tracks["mark"][rows] == DRIFT_FRAMES]
        self.motion.learn_drift(self.tracks["mark_xy"][exact], self.tracks["xy"][exact])
        self._mark(rows, frame)

    def _mark(self, rows: NDArray[np.intp], frame: int) -> None:
        """Note where tracks are now, to see later how far they went."""
        self.tracks["mark_xy"][rows] = self.tracks["xy"][rows]
        self.tracks["mark"][rows] = frame

    def _begin(
        self,
        match: NDArray[np.intp],
        here: NDArray[np.intp],
        instances: Instances,
        xy: Floats,
        frame: int,
    ) -> None:
        """Start tracklets from instances that are nobody's and good enough."""
        score = np.full(len(xy), np.nan) if instances.score is None else instances.score
        anchored = np.zeros(len(xy), bool)
        if instances.anchor is not None:
            anchored = np.asarray(instances.anchor) >= 0
        n_points = np.count_nonzero(~np.isnan(xy[..., 0]), axis=1)
        good = (n_points >= min(self.config.min_points, self.n_nodes)) & ~(
            np.asarray(score) < self.config.min_score
        )
        new = here[(match[here] < 0) & (good | anchored)[here]]
        if not new.size:
            return
        # the surest first: where identities are few, they get them
        new = new[np.argsort(-np.nan_to_num(np.asarray(score, np.float64)[new]), kind="stable")]
        rows = self.identities.begin(len(new), frame)
        match[new] = rows
        self.start(rows, xy[new], frame)
        self.tracks["classes"][rows] = np.nan
        self._remember(rows, new, instances, xy, frame)
        self._mark(rows, frame)

    def _remember(
        self,
        rows: NDArray[np.intp],
        found: NDArray[np.intp],
        instances: Instances,
        xy: Floats,
        frame: int,
    ) -> None:
        """Write down what all trackers know of the tracks seen in this frame."""
        self.tracks["xy"][rows] = xy[found]
        self.tracks["last"][rows] = frame
        self.tracks["hits"][rows] += 1
        if self.n_classes and instances.classes is not None:
            new = np.asarray(instances.classes, np.float64)[found]
            old = self.tracks["classes"][rows]
            old = np.where(np.isnan(old), new, old)
            mixed = CLASS_MEMORY * old + (1.0 - CLASS_MEMORY) * new
            self.tracks["classes"][rows] = np.where(np.isnan(new), old, mixed)
        if instances.anchor is not None:
            anchor = np.asarray(instances.anchor)[found]
            self.tracks["anchor"][rows] = np.where(anchor >= 0, anchor, self.tracks["anchor"][rows])

    def _compare_tracks(self, seen: NDArray[np.intp], lost: NDArray[np.intp]) -> Floats:
        """Return what it costs to take tracks seen now for tracks lost before."""
        return compare_tracks(self.tracks, seen, lost, self.motion, self.config)

    def _look_up(self, name: str, match: NDArray[np.intp]) -> Numbers:
        """Value of a column of the table for every instance; anything where it has no row."""
        column = self.tracks[name]
        return column[match] if len(column) else np.full(len(match), NONE, np.int64)
