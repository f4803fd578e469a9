"""A prediction that needs no network, for child processes that start fast."""

from __future__ import annotations

import time

import numpy as np

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.video import open_video
from napari_animalpose.jobs import StopRequest
from napari_animalpose.pipeline import prediction
from napari_animalpose.pipeline.looked_at import looked_at_frames

SKELETON = Skeleton(("a", "b"))
BATCH, BATCH_S = 4, 0.01


class SlowPredictor:
    """Finds one animal in every frame, four frames in ten milliseconds."""

    skeleton, needs_anchors = SKELETON, False

    def run(self, video, frames, number, *, on_progress, on_crowded, on_poses, should_stop):
        parts, done = [Poses.empty(SKELETON)], 0
        for start in range(0, len(frames), BATCH):
            if should_stop() is StopRequest.STOP_EARLY:
                break
            batch = frames[start : start + BATCH]
            time.sleep(BATCH_S)
            xy = np.zeros((len(batch), 2, 2))
            parts.append(
                Poses.from_arrays(
                    SKELETON, video=number, frame=batch, xy=xy, origin=Origin.PREDICTED
                )
            )
            on_poses(parts[-1], batch)
            done += len(batch)
            on_progress(done, 400.0)
        return Poses.concat(parts), done


def predict_slowly(n_frames, *, on_event, should_stop):
    prediction.load_predictor = lambda models, config: SlowPredictor()
    video = open_video(np.zeros((n_frames, 4, 4), np.uint8))
    project = Project(videos=(video,), poses=Poses.empty(SKELETON))
    found = prediction.predict(
        project, "no run", stream=True, on_event=on_event, should_stop=should_stop
    )
    return found.poses, looked_at_frames(found)
