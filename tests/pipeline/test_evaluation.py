"""Predictions against labels: which videos and frames belong together, and the figures."""

import numpy as np
import pytest

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.curves import pck_curve
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.video import LazyVideo, open_video
from napari_animalpose.pipeline import evaluate
from napari_animalpose.pipeline import evaluation as evaluation_module
from napari_animalpose.pipeline.evaluation import (
    _errors_with_missed,
    _unmatched_tiles,
    draw_evaluation,
    error_radii,
)
from napari_animalpose.pipeline.looked_at import FRAMES_KEY

SKELETON = Skeleton(("a", "b"))
ANIMAL = np.array([[10.0, 10.0], [30.0, 25.0]])  # 25 px from a to b


def video(path):
    return LazyVideo(path, shape=(100, 48, 64, 1))


def project(paths, rows, origin=Origin.USER, shift=0.0, **options):
    """Rows are (video, frame); every animal stands at the same place, shifted in x."""
    xy = np.repeat(ANIMAL[None] + np.array([shift, 0.0]), len(rows), axis=0)
    poses = Poses.from_arrays(
        SKELETON,
        video=[row[0] for row in rows],
        frame=[row[1] for row in rows],
        xy=xy,
        origin=origin,
        score=0.9,
        point_score=0.9,
    )
    return Project(videos=[video(path) for path in paths], poses=poses, **options)


def predicted(paths, rows, shift=3.0, **options):
    return project(paths, rows, Origin.PREDICTED, shift, **options)


def test_errors_are_those_of_the_shift():
    truth = project(["/d/v.mp4"], [(0, 1), (0, 2), (0, 7)])
    comparison = evaluate(predicted(["/d/v.mp4"], [(0, 1), (0, 2), (0, 5)]), truth)
    figures = comparison.evaluation.to_dict()
    assert figures["n_frames"] == 3  # the file does not say that frame 7 was left out
    assert figures["error_p50"] == pytest.approx(3, abs=1e-4)
    assert figures["n_points_missed"] == 2


def test_only_frames_that_were_looked_at_count():
    truth = project(["/d/v.mp4"], [(0, 1), (0, 2), (0, 7)])
    guess = predicted(["/d/v.mp4"], [(0, 1)], provenance={FRAMES_KEY: {"0": "1,7-8"}})
    evaluation = evaluate(guess, truth).evaluation
    assert evaluation.n_frames == 2
    assert evaluation.n_frames_missed == 1
    assert evaluate(guess, truth, frames="1-2").evaluation.n_frames == 2
    with pytest.raises(ConfigError, match="from 0 to 99"):
        evaluate(guess, truth, frames="100")


def test_frames_of_a_prediction_are_renumbered_with_its_videos():
    truth = project(["/a/x.mp4", "/a/y.mp4"], [(0, 1), (1, 1), (1, 2)])
    guess = predicted(["/a/y.mp4"], [(0, 1)], provenance={FRAMES_KEY: {"0": "1"}})
    comparison = evaluate(guess, truth)
    assert comparison.evaluation.n_frames == 1
    assert comparison.predicted.video.tolist() == [1]
    assert comparison.truth.video.tolist() == [1]


def test_videos_are_the_same_by_source_before_name():
    truth = project(["/cam1/v.mp4", "/cam2/v.mp4"], [(0, 1), (1, 2)])
    guess = predicted(["/cam2/v.mp4", "/cam1/v.mp4"], [(0, 2), (1, 1)])
    comparison = evaluate(guess, truth)
    assert sorted(comparison.predicted.video.tolist()) == [0, 1]
    assert comparison.evaluation.n_matched == 2


def test_a_moved_video_is_found_by_its_name():
    truth = project(["/old/x.mp4", "/old/y.mp4"], [(0, 1), (1, 2)])
    guess = predicted(["/new/y.mp4", "/new/x.mp4"], [(0, 2), (1, 1)])
    assert evaluate(guess, truth).evaluation.n_matched == 2


def test_a_name_that_several_videos_have_says_nothing():
    truth = project(["/old/1/v.mp4", "/old/2/v.mp4"], [(0, 1), (1, 1)])
    guess = predicted(["/new/1/v.mp4", "/new/2/v.mp4"], [(0, 1), (1, 1)])
    with pytest.raises(DataError, match="predictions of the labelled videos"):
        evaluate(guess, truth)
    # One of the two known by its source leaves one for the name.
    guess = predicted(["/old/2/v.mp4", "/new/v.mp4"], [(0, 1), (1, 1)])
    assert evaluate(guess, truth).evaluation.n_matched == 2


def test_the_only_video_is_the_only_video_whatever_its_name():
    truth = project(["/old/x.mp4"], [(0, 1)])
    assert evaluate(predicted(["/new/y.mp4"], [(0, 1)]), truth).evaluation.n_matched == 1


def test_what_cannot_be_compared():
    truth = project(["/d/v.mp4"], [(0, 1)])
    with pytest.raises(DataError, match="none in common"):
        evaluate(predicted(["/d/v.mp4"], [], provenance={FRAMES_KEY: {"0": "5"}}), truth)
    with pytest.raises(DataError, match="labelled videos"):
        evaluate(predicted(["/d/a.mp4", "/d/b.mp4"], [(0, 1)]), truth)
    other = Poses.from_arrays(Skeleton(("a", "c")), frame=[1], xy=ANIMAL[None], origin=1)
    with pytest.raises(DataError, match=r"^Expected"):
        evaluate(Project(videos=truth.videos, poses=other), truth)


def test_labels_in_the_predictions_are_not_looked_at():
    truth = project(["/d/v.mp4"], [(0, 1)])
    assert evaluate(truth, truth).evaluation.n_matched == 0


def names_drawn(labels, poses, folder):
    comparison = evaluate(labels.with_poses(poses), labels)
    paths = draw_evaluation(comparison, folder, tiles=2)
    assert all(path.stat().st_size > 1000 for path in paths)
    return [path.stem for path in paths]


def test_pictures_are_drawn_for_what_there_is_to_see(tiny_labels, tmp_path):
    labels = read_labels(tiny_labels).replace(negative_frames=[(0, 1)])
    good = labels.poses.replace(
        xy=labels.poses.xy + 2, origin=np.full(12, Origin.PREDICTED, np.uint8)
    )
    always = ["error_circles", "pck", "error_histogram", "oks"]
    none = good.select(np.zeros(12, bool))
    assert names_drawn(labels, good, tmp_path / "good") == [*always, "worst_frames"]
    assert names_drawn(labels, none, tmp_path / "none") == [*always, "missed_and_invented"]
    invented = Poses.concat([good, good.select(good.frame == 0).replace(frame=[1])])
    assert names_drawn(labels, invented, tmp_path / "invented") == [
        *always, "worst_frames", "missed_and_invented",
    ]  # fmt: skip


def test_pictures_count_missed_animals_as_the_table_does():
    truth = project(["/d/v.mp4"], [(0, 1), (0, 2), (0, 7)])
    evaluation = evaluate(predicted(["/d/v.mp4"], [(0, 1), (0, 2)]), truth).evaluation
    errors = _errors_with_missed(evaluation)
    np.testing.assert_allclose(np.sort(errors, axis=0), [[3, 3], [3, 3], [np.inf, np.inf]])
    np.testing.assert_allclose(pck_curve(errors, [4.0]), evaluation.pck(4.0))


@pytest.mark.parametrize(("n_found", "radius"), [(10, 9.0), (9, 9.0), (8, np.inf), (0, np.inf)])
def test_a_circle_holds_its_share_of_all_labelled_points(n_found, radius):
    """Ten animals, of which some are found: a is 1, 2, ... px off, b is right, c unlabelled."""
    xy = np.repeat([[[10.0, 10.0], [30.0, 25.0], [np.nan, np.nan]]], 10, axis=0)
    moved = xy[:n_found] + np.arange(1, n_found + 1)[:, None, None] * [[[1, 0], [0, 0], [0, 0]]]
    truth, found = (
        Project(
            videos=[video("/d/v.mp4")],
            poses=Poses.from_arrays(
                Skeleton(("a", "b", "c")), frame=np.arange(len(points)), xy=points, origin=origin
            ),
        )
        for points, origin in ((xy, Origin.USER), (moved, Origin.PREDICTED))
    )
    radii = error_radii(evaluate(found, truth).evaluation, (90, 100))
    all_found = n_found == 10
    expected = [[radius, 10.0 if all_found else np.inf],
                [0.0 if n_found >= 9 else np.inf, 0.0 if all_found else np.inf],
                [np.nan, np.nan]]  # fmt: skip
    np.testing.assert_allclose(radii, expected, atol=1e-4)


def test_galleries_show_missed_and_invented_animals_half_and_half(monkeypatch):
    truth = project(
        ["/d/v.mp4"], [(0, f) for f in range(6)], negative_frames=[(0, 10 + f) for f in range(9)]
    )
    guess = predicted(["/d/v.mp4"], [(0, 10 + f) for f in range(9)])
    comparison = evaluate(guess, truth)
    monkeypatch.setattr(evaluation_module, "_frame_of", lambda *_: np.zeros((48, 64, 1), np.uint8))
    tiles = _unmatched_tiles(comparison, 8)
    assert [tile.verdict for tile in tiles] == ["missed"] * 4 + ["invented"] * 4
    assert [tile.label for tile in tiles][:5] == [*(f"frame {f}" for f in range(4)), "frame 10"]
    tiles = _unmatched_tiles(evaluate(predicted(["/d/v.mp4"], [(0, 12)]), truth), 8)
    assert [tile.verdict for tile in tiles] == ["missed"] * 6 + ["invented"]


def test_nodes_in_another_order_are_the_same_nodes():
    truth = project(["/d/v.mp4"], [(0, 1)])
    turned = Poses.from_arrays(
        Skeleton(("b", "a")), frame=[1], xy=ANIMAL[None, ::-1], origin=Origin.PREDICTED
    )
    comparison = evaluate(Project(videos=truth.videos, poses=turned), truth)
    np.testing.assert_allclose(comparison.predicted.xy[0], ANIMAL)
    assert comparison.evaluation.error_mean == 0


def test_arrays_without_a_name_of_their_own_are_told_apart_by_their_order():
    frames = np.zeros((9, 8, 8), np.uint8)
    truth = project(["/d/v.mp4"] * 2, [(0, 1), (1, 2)])
    truth = truth.with_videos([open_video(frames), open_video(frames)])
    guess = predicted(["/d/v.mp4"] * 2, [(0, 1), (1, 2)]).with_videos(truth.videos)
    assert evaluate(guess, truth).evaluation.n_matched == 2
