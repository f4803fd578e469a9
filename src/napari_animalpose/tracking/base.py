"""What every tracker does; how it foresees the place of an animal is one file each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_animalpose.config import TrackConfig
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.registry import Registry
from napari_animalpose.tracking.assignment import ASSIGNMENTS
from napari_animalpose.tracking.comparison import Candidates, compare_instances, compare_tracks
from napari_animalpose.tracking.costs import COSTS
from napari_animalpose.tracking.identities import NONE, IdentityBook
from napari_animalpose.tracking.instances import Instances, Step
from napari_animalpose.tracking.motion import DRIFT_FRAMES, MotionScale
from napari_animalpose.tracking.table import TrackTable

__all__ = ["TRACKERS", "Instances", "Step", "Tracker"]

TRACKERS: Registry[type[Tracker]] = Registry("tracker")
for _name in ("window", "flow", "kalman"):
    TRACKERS.register(_name, f"napari_animalpose.tracking.{_name}:{_name.capitalize()}Tracker")

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
CLASS_MEMORY = 0.9  # of the mean class vector of a track, at each instance


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
        xy = instances.read_points(self.n_nodes, self.n_classes)
        (here,) = np.nonzero(~np.isnan(xy[..., 0]).all(axis=1))
        self.motion.measure(xy[here])
        self.identities.forget(frame)
        cost, surprise = self._compare(xy, here, instances, frame, image)
        allowed = self._lead_by_anchors(cost, instances.anchors, here)
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

    def _compare(
        self,
        xy: Floats,
        here: NDArray[np.intp],
        instances: Instances,
        frame: int,
        image: NDArray[np.uint8] | None,
    ) -> tuple[Floats, Floats]:
        """Return cost and surprise of every instance with every track (I, T)."""
        cost = np.full((len(xy), len(self.tracks)), np.inf)
        surprise = np.full(cost.shape, np.nan)
        candidates = self.expect(frame, image)
        classes = instances.class_vectors
        if here.size and len(self.tracks):
            cost[here], surprise[here] = compare_instances(
                xy[here],
                None if classes is None else classes[here],
                candidates,
                self.tracks["classes"] if self.n_classes else None,
                len(self.tracks),
                self.motion,
                self.config,
            )
        return cost, surprise

    def _lead_by_anchors(self, cost: Floats, anchors: Numbers, here: NDArray[np.intp]) -> Floats:
        """Return costs that leave an anchored instance, if it has a point, no choice."""
        anchored = here[anchors[here] >= 0]
        if not anchored.size:
            return cost
        cost = cost.copy()
        owner = self.tracks["anchor"]
        cost[np.ix_(anchored, np.flatnonzero(owner >= 0))] = np.inf
        for instance in anchored:
            row = np.flatnonzero(owner == anchors[instance])
            if row.size:
                cost[instance], cost[:, row[0]] = np.inf, np.inf
                cost[instance, row[0]] = 0.0
        return cost

    def _match(self, cost: Floats) -> NDArray[np.intp]:
        """Return the row of the table for every instance: first tracks with a name choose."""
        match = np.full(len(cost), NONE, np.intp)
        named = self.tracks["identity"] >= 0
        for rows in (named.nonzero()[0], (~named).nonzero()[0]):
            if not rows.size:
                continue
            free = (match < 0).nonzero()[0]
            if free.size:
                instances, tracks = self._assign(cost[free[:, None], rows], self._limit)
                match[free[instances]] = rows[tracks]
        return match

    def _rate(self, cost: Floats, match: NDArray[np.intp]) -> Floats:
        """Return the probability of every choice among all choices of that instance."""
        none = np.exp(-self._limit)
        likelihood = np.exp(-cost)  # 0 for pairs that must not be
        found = (match >= 0).nonzero()[0]
        chosen = np.full(len(cost), none)
        chosen[found] = likelihood[found, match[found]]
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
        found = (match >= 0).nonzero()[0]
        expected = np.isfinite(cost[found, match[found]])
        usual, led = found[expected], found[~expected]
        self.motion.learn(surprise[usual, match[usual]])
        self.observe(match[usual], xy[usual], frame)
        if led.size:  # an anchor took it where it was not expected
            self.start(match[led], xy[led], frame)
        self._remember(match[found], found, instances, xy, frame)
        age = frame - self.tracks["mark"][match[usual]]
        rows = match[usual[age >= DRIFT_FRAMES]]
        if rows.size:
            exact = match[usual[age == DRIFT_FRAMES]]
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
        score, config = instances.scores, self.config
        free = here[match[here] < 0]
        if not free.size:
            return
        n_points = (~np.isnan(xy[..., 0])).sum(axis=1)
        good = (n_points >= min(config.min_points, self.n_nodes)) & ~(score < config.min_score)
        new = free[(good | (instances.anchors >= 0))[free]]
        if not new.size:
            return
        # the surest first: where identities are few, they get them
        new = new[np.argsort(-np.nan_to_num(score[new]), kind="stable")]
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
        anchor = instances.anchors[found]
        self.tracks["anchor"][rows] = np.where(anchor >= 0, anchor, self.tracks["anchor"][rows])
        if self.n_classes and instances.class_vectors is not None:
            new = instances.class_vectors[found]
            old = self.tracks["classes"][rows]
            old = np.where(np.isnan(old), new, old)
            mixed = CLASS_MEMORY * old + (1.0 - CLASS_MEMORY) * new
            self.tracks["classes"][rows] = np.where(np.isnan(new), old, mixed)

    def _compare_tracks(
        self, seen: NDArray[np.intp], lost: NDArray[np.intp]
    ) -> tuple[Floats, Floats]:
        """Return what it costs to take tracks seen now for tracks lost before, and how far."""
        return compare_tracks(self.tracks, seen, lost, self.motion, self.config)

    def _look_up(self, name: str, match: NDArray[np.intp]) -> Numbers:
        """Value of a column of the table for every instance; anything where it has no row."""
        column = self.tracks[name]
        return column[match] if len(column) else np.full(len(match), NONE, np.int64)
