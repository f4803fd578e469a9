"""Measure the timeline: painting, following edits, finding frames; processor milliseconds as JSON.

Painting is into a picture of the size of a wide window, without what the window system and
the canvas add. It needs Qt and no display: QT_QPA_PLATFORM=offscreen will do.

Example
-------
    python benchmarks/timeline.py --frames 1000 1000000
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from napari_animalpose.data import edits
from napari_animalpose.data.frame_curves import CURVES
from napari_animalpose.data.history import Change, History
from napari_animalpose.data.overview import FrameKind, Overview
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton

SIZE = (1600, 120)


def make_poses(n_frames: int, n_animals: int = 2, n_nodes: int = 13) -> Poses:
    """Return predictions of animals that drift, with scores that vary."""
    rng = np.random.default_rng(0)
    n_rows = n_frames * n_animals
    xy = rng.random((n_rows, n_nodes, 2), np.float32) * 4
    return Poses.from_arrays(
        Skeleton(tuple(f"node{i}" for i in range(n_nodes))),
        frame=np.repeat(np.arange(n_frames), n_animals),
        xy=xy,
        track=np.tile(np.arange(n_animals), n_frames),
        origin=Origin.PREDICTED,
        score=rng.random(n_rows, np.float32),
        track_names=[f"animal{i}" for i in range(n_animals)],
    )


def measure(function: Callable[[int], object], repeats: int) -> dict[str, float]:
    """Return median and largest time in ms; the argument is the number of the call."""
    times = []
    for call in range(repeats):
        start = time.thread_time()
        function(call)
        times.append((time.thread_time() - start) * 1e3)
    return {"median_ms": round(statistics.median(times), 3), "max_ms": round(max(times), 3)}


def measure_overview(poses: Poses, n_frames: int, repeats: int) -> dict[str, object]:
    """Return what it costs to read the table, to follow edits and to find frames."""
    made: dict[str, Overview] = {}
    results: dict[str, object] = {
        "build": measure(lambda _: made.update(o=Overview(poses, 0, n_frames)), 1)
    }
    overview = made["o"]
    for name in CURVES.names():
        results[f"curve_{name}"] = measure(lambda _, name=name: overview.curve(name), 1)
    history = History(poses, max_bytes=2**30)
    changes: list[Change] = []
    history.on_change.append(changes.append)
    frames = np.random.default_rng(1).choice(n_frames, 2 * repeats, replace=False).tolist()
    for frame in frames[:repeats]:
        history.do(edits.move_points(poses, [[0, frame, 0, 0]], [[1.0, 2.0]]))
    follow = {"moved": changes[:]}
    changes.clear()
    for frame in frames[repeats:]:
        history.do(edits.delete_instances(poses, [[0, frame, 0]]))
    follow["deleted"] = changes[:]
    for what, done in follow.items():
        results[f"follow_{what}"] = measure(
            lambda call, done=done: overview.update(poses, done[call].frames), repeats
        )
    results["next_labelled"] = measure(
        lambda call: overview.find_next(frames[call], FrameKind.LABELLED), repeats
    )
    return results


def measure_painting(poses: Poses, n_frames: int, repeats: int) -> dict[str, object]:
    """Return what the strip costs to paint anew, and again with another playhead."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from qtpy.QtGui import QPixmap
    from qtpy.QtWidgets import QApplication

    from napari_animalpose._widgets._timeline_view import TimelineView

    application = QApplication.instance() or QApplication([])
    overview = Overview(poses, 0, n_frames)
    overview.set_marks(FrameKind.SUGGESTED, np.arange(0, n_frames, max(1, n_frames // 20)))
    view = TimelineView()
    view.resize(*SIZE)
    view.show()
    application.processEvents()
    target = QPixmap(*SIZE)
    results: dict[str, object] = {}
    for name in CURVES.names():
        view.set_overview(overview, 50.0)
        view.set_curve(overview.curve(name))
        for share in (1.0, 0.1, 0.001):
            view.show_all()
            view.zoom(share, n_frames / 2)

            def paint(call: int, anew: bool) -> None:
                if anew:
                    view.redraw()
                view.set_frame(int(view.visible_frames[0]) + 1 + call % 5)
                view.render(target)

            key = f"{name}_{share:g}"
            paint(0, True)
            results[f"paint_{key}"] = measure(lambda call: paint(call, True), repeats)
            results[f"playhead_{key}"] = measure(lambda call: paint(call, False), repeats)
    view.close()
    return results


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[1000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=40)
    args = parser.parse_args()
    results = {}
    for n_frames in args.frames:
        poses = make_poses(n_frames)
        results[str(n_frames)] = {
            **measure_overview(poses, n_frames, min(args.repeats, n_frames // 2)),
            **measure_painting(poses, n_frames, args.repeats),
        }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
