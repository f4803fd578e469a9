"""Likely errors and suggestions of a whole project, with errors that were planted."""

import numpy as np
import pytest

import napari_animalpose as ap
from napari_animalpose.data.poses import Origin
from napari_animalpose.data.project import Project
from napari_animalpose.errors import CancelledError
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.jobs import StopRequest
from napari_animalpose.pipeline.review import measure_variance, propose_frames
from napari_animalpose.sample import make_sample

N_FRAMES = 200


@pytest.fixture(scope="module")
def project():
    """Two predicted flies with true identities; in frame 120 one point lies elsewhere."""
    sample = make_sample(n_frames=N_FRAMES, n_animals=2, size=(256, 256), seed=2)
    xy = sample.poses.xy.copy()
    row = int(np.flatnonzero((sample.poses.frame == 120) & (sample.poses.track == 1))[0])
    xy[row, 3] += 60
    poses = sample.poses.replace(
        xy=xy, origin=np.full(len(xy), Origin.PREDICTED), score=np.full(len(xy), 0.9)
    )
    return Project(videos=(sample.video,), poses=poses)


def test_what_was_planted_leads_the_list(project):
    findings = ap.find_likely_errors(project)
    assert int(findings.frame[0]) == 120
    assert str(findings.kind[0]) == "jump"
    assert int(findings.node[0]) == 3


def test_the_number_of_animals_can_be_told(project):
    findings = ap.find_likely_errors(project, expected_animals=3, kinds=["count"])
    assert len(findings) == 1
    assert (int(findings.first[0]), int(findings.last[0])) == (0, N_FRAMES - 1)


def test_a_missing_video_is_no_obstacle(project):
    away = Project(videos=(LazyVideo("nowhere.mp4"),), poses=project.poses)
    assert int(ap.find_likely_errors(away).frame[0]) == 120


def test_variance_has_the_rows_of_the_table(project):
    variance = measure_variance(project.poses)
    assert variance.shape == project.poses.xy.shape[:2]
    np.testing.assert_array_equal(variance > 0, np.isfinite(project.poses.xy[..., 0]))
    untracked = project.poses.replace(track=np.full(len(project.poses), -1), track_names=())
    assert measure_variance(untracked) is None


def test_asked_to_stop(project):
    with pytest.raises(CancelledError):
        ap.find_likely_errors(project, should_stop=lambda: StopRequest.CANCEL)


def test_suggestions_are_added_or_replaced(project):
    first, found = ap.suggest(project, 4, "even")
    assert len(found) == len(first.suggestions) == 4
    more, found = ap.suggest(first, 3, "random")
    assert len(more.suggestions) == 7
    assert len(np.unique(more.suggestions, axis=0)) == 7
    np.testing.assert_array_equal(more.suggestions[:4], first.suggestions)
    anew, _ = ap.suggest(first, 3, "random", extend=False)
    assert len(anew.suggestions) == 3


def test_a_child_is_told_what_not_to_propose(project):
    found = propose_frames(project, 3, "even", exclude=[(0, 0)], on_event=lambda event: None)
    assert found.frames.shape == (3, 2)
    assert [0, 0] not in found.frames.tolist()
    with pytest.raises(CancelledError):
        propose_frames(project, 3, "even", should_stop=lambda: StopRequest.CANCEL)
