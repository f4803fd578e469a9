"""Inspections of known animals, with the maps of ideal networks: no network, no TensorFlow."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import numpy as np

from napari_animalpose import jobs
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.geometry import scale_points
from napari_animalpose.nn.inspection import (
    PLACE,
    Connections,
    Crops,
    Fields,
    Grid,
    Inspection,
    MapStack,
    Peaks,
    Verdict,
)
from napari_animalpose.nn.targets import confidence_maps, part_affinity_fields

SKELETON = Skeleton(("head", "middle", "tail"), ((1, 0), (1, 2)))
SIZE = (160, 320)
SHAPE = np.array([[-24.2, 7.3], [0.0, -6.1], [26.6, 8.4]])
ANIMALS = np.stack([SHAPE + np.array([58.3, 52.6]), np.array([256.9, 101.2]) - SHAPE])
FAINT = (30.0, 100.0)  # a maximum of the map of the head that is too faint to be a point


def frame_grid(scale: float, stride: int) -> Grid:
    """Cell i is input px ``i * stride``, and x is at ``(x + 0.5) * scale - 0.5`` of the input."""
    offset = 0.5 / scale - 0.5
    return Grid(stride / scale, offset, offset)


def make_inspection(
    frame: int = 0, scale: float = 1.0, stride: int = 2, animals: Any = ANIMALS, video: int = 0
) -> Inspection:
    """What an ideal bottom-up network sees; animal 0 is put together, the rest by its rule."""
    animals = np.asarray(animals, np.float64)
    n = len(animals)
    height, width = (round(scale * side) for side in SIZE)
    xy = scale_points(animals if n else np.full((1, 3, 2), np.nan), scale)
    maps = confidence_maps(xy, height, width, stride, 1.5 * stride)
    pafs = part_affinity_fields(
        xy, SKELETON.edge_array, height, width, stride, max(6.0 * scale, 1.0 * stride)
    )
    grid = frame_grid(scale, stride)
    points = np.concatenate([animals.reshape(-1, 2), [FAINT]]).astype(np.float32)
    peaks = Peaks(
        xy=points,
        node=np.append(np.tile(np.arange(3), n), 0).astype(np.int32),
        score=np.append(np.full(3 * n, 0.9), 0.1).astype(np.float32),
        crop=np.full(3 * n + 1, -1, np.int32),
        instance=np.append(np.repeat(np.arange(n), 3), -1).astype(np.int32),
        likely=np.zeros((3 * n + 1, 0), np.float32),
    )
    return Inspection(
        pipeline="bottomup",
        skeleton=SKELETON,
        classes=(),
        video=video,
        frame=frame,
        size=SIZE,
        instances=make_instances(animals, frame, video),
        maps=(
            MapStack("confmaps", SKELETON.nodes, np.moveaxis(maps, -1, 0).astype(np.float16), grid),
        ),
        peaks=peaks,
        fields=Fields(
            np.asarray(SKELETON.edge_array, np.int64),
            np.moveaxis(pafs, 2, 0).astype(np.float16),
            grid,
        ),
        connections=_connect(n, points),
        limits={"peak_threshold": 0.2, "min_line_score": 0.25, "min_support": 0.5},
        seconds={"network": 0.1},
    )


def make_instances(animals: Any, frame: int, video: int = 0) -> Poses:
    n = len(animals)
    return Poses.from_arrays(
        SKELETON, frame=np.full(n, frame), video=np.full(n, video), xy=animals,
        origin=Origin.PREDICTED, score=np.full(n, 0.9), point_score=np.full((n, 3), 0.9),
    )  # fmt: skip


def _connect(n: int, points: Any) -> Connections:
    """All pairs: those of one animal are joined; of the others, some lost, some are low."""
    rows = [
        (edge, 3 * i + ends[0], 3 * j + ends[1], i, j)
        for edge, ends in enumerate(SKELETON.edges)
        for i, j in itertools.product(range(n), range(n))
    ]
    edge, source, destination, i, j = np.array(rows, np.int32).reshape(-1, 5).T
    same = i == j
    score = np.where(same, 0.95, np.where(edge == 0, 0.4, 0.05)).astype(np.float32)
    return Connections(
        edge=edge,
        source=source,
        destination=destination,
        score=score,
        alignment=score,
        penalty=np.zeros(len(edge), np.float32),
        support=np.ones(len(edge), np.float32),
        length_px=np.linalg.norm(points[destination] - points[source], axis=1),
        verdict=np.where(
            same, Verdict.JOINED, np.where(edge == 0, Verdict.LOST, Verdict.LOW_SCORE)
        ).astype(np.int8),
        instance=np.where(same, i, -1).astype(np.int32),
    )


def make_topdown(frame: int = 0, scale: float = 1.0, stride: int = 2, side: int = 64) -> Inspection:
    """What ideal networks for places and for crops see: a crop on each animal and one on none."""
    centres = np.concatenate([ANIMALS[:, 1] + 0.37, [[160.2, 30.4]]])
    maps, corners = [], []
    for number, centre in enumerate(centres):
        corner = scale_points(centre, scale) - (side - 1) / 2  # input px, with its fraction
        animal = scale_points(ANIMALS[number : number + 1], scale) - corner
        if number == len(ANIMALS):
            animal = np.full((1, 3, 2), np.nan)
        drawn = confidence_maps(animal, side, side, stride, 1.5 * stride)
        frame_corner = (corner + 0.5) / scale - 0.5
        grid = Grid(stride / scale, *frame_corner)
        maps.append(
            MapStack("confmaps", SKELETON.nodes, np.moveaxis(drawn, -1, 0).astype(np.float16),
                     grid, number)
        )  # fmt: skip
        corners.append(frame_corner - 0.5 / scale)
    left_top = np.array(corners)
    whole = confidence_maps(
        scale_points(centres[:2, None], scale), *(round(scale * s) for s in SIZE), 4, 6.0
    )
    places = MapStack(
        "centroids", ("centroid",), np.moveaxis(whole, -1, 0).astype(np.float16),
        frame_grid(scale, 4),
    )  # fmt: skip
    return Inspection(
        pipeline="topdown",
        skeleton=SKELETON,
        classes=(),
        video=0,
        frame=frame,
        size=SIZE,
        instances=make_instances(ANIMALS, frame),
        maps=(places, *maps),
        peaks=Peaks(
            xy=np.concatenate([centres, ANIMALS.reshape(-1, 2)]).astype(np.float32),
            node=np.array([PLACE] * 3 + [0, 1, 2] * 2, np.int32),
            score=np.array([0.9, 0.8, 0.3] + [0.9] * 6, np.float32),
            crop=np.array([-1] * 3 + [0] * 3 + [1] * 3, np.int32),
            instance=np.array([0, 1, -1] + [0] * 3 + [1] * 3, np.int32),
            likely=np.zeros((9, 0), np.float32),
        ),
        crops=Crops(
            rectangle=np.concatenate([left_top, left_top + side / scale], axis=1).astype(
                np.float32
            ),
            centre=centres.astype(np.float32),
            score=np.array([0.9, 0.8, 0.3], np.float32),
            verdict=np.array([0, 0, 1], np.int8),
            instance=np.array([0, 1, -1], np.int32),
        ),
        limits={"peak_threshold": 0.2, "max_instances": 0},
    )


class MadeWorker:
    """Stands in for a `jobs.Worker`: answers with made inspections, at once or when told.

    Attributes
    ----------
    holds : bool
        Keep requests until `release`.
    started : list
        What each of these was started with; `requests` what it was asked.
    """

    started: ClassVar[list[MadeWorker]] = []

    def __init__(self, models: Any, config: Any) -> None:
        self.models, self.config = models, config
        self.is_ready, self.holds, self.is_closed = True, False, False
        self.outcome: Any = None
        self.requests: list[Any] = []
        self.make = lambda request: jobs.Result(
            make_inspection(request.frame, video=request.video_number)
        )
        self._waiting: list[jobs.Ticket] = []
        self._done: list[jobs.Ticket] = []
        MadeWorker.started.append(self)

    @property
    def is_busy(self) -> bool:
        return bool(self._waiting)

    def ask(self, request: Any) -> jobs.Ticket:
        ticket = jobs.Ticket(len(self.requests), request)
        self.requests.append(request)
        for other in self._waiting[1:]:
            other.outcome = jobs.Superseded()
            self._done.append(other)
        self._waiting[1:] = [ticket]
        if not self._waiting[:1]:
            self._waiting = [ticket]
        return ticket

    def poll(self) -> list[jobs.Ticket]:
        if not self.holds:
            self.release()
        done, self._done = self._done, []
        return done

    def release(self, n: int = 2) -> None:
        """Answer the oldest requests."""
        for ticket in self._waiting[:n]:
            ticket.outcome = self.make(ticket.request)
            self._done.append(ticket)
        del self._waiting[:n]

    def die(self, message: str) -> None:
        self.outcome = jobs.Failed(message, "", "")
        for ticket in self._waiting:
            ticket.outcome = self.outcome
            self._done.append(ticket)
        self._waiting = []

    def close(self) -> None:
        self.is_closed = True
