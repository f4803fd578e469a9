"""Identity metrics on cases that can be counted by hand."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError
from napari_animalpose.tracking.hota import ALPHAS, FramePair, compute_hota
from napari_animalpose.tracking.metrics import Switch, evaluate_tracks

SKELETON = Skeleton(("head", "tail"), ((0, 1),))
PLACES = np.array([0.0, 500.0, 1000.0])  # far from each other


def make_poses(tracks, names=None, video=0, offset=0.0):
    """Poses from a table of tracks (F, A): who is at each of the places, -1 = nobody."""
    rows = [
        (frame, place, track)
        for frame, row in enumerate(tracks)
        for place, track in enumerate(row)
        if track is not None
    ]
    frame, place, track = np.array(rows).T
    xy = np.zeros((len(rows), 2, 2))
    xy[:, :, 0] = PLACES[place][:, None] + offset
    xy[:, 1] += 100.0
    names = names or [f"t{n}" for n in range(max(track) + 1)]
    return Poses.from_arrays(
        SKELETON, frame=frame, xy=xy, track=track, video=video, track_names=names
    )


TWO = [(0, 1)] * 10


def test_the_truth_itself_is_perfect():
    truth = make_poses(TWO)
    result = evaluate_tracks(truth, truth)
    perfect = (result.mota, result.idf1, result.hota, result.deta, result.assa, result.loca)
    assert perfect == (1.0,) * 6
    assert (result.n_switches, result.n_fragments, result.switches) == (0, 0, ())
    assert (result.n_frames, result.n_truth, result.n_predicted) == (10, 20, 20)


def test_names_and_order_of_tracks_make_no_difference():
    result = evaluate_tracks(make_poses([(1, 0)] * 10, ["x", "y"]), make_poses(TWO))
    assert (result.hota, result.idf1, result.n_switches) == (1.0, 1.0, 0)


def test_a_swap_in_the_middle():
    predicted = make_poses([(0, 1)] * 5 + [(1, 0)] * 5, ["p", "q"])
    result = evaluate_tracks(predicted, make_poses(TWO, ["male", "female"]))
    assert result.switches == (
        Switch(0, 5, "male", "p", "q"),
        Switch(0, 5, "female", "q", "p"),
    )
    assert result.n_switches == 2
    assert result.mota == pytest.approx(1 - 2 / 20)
    assert result.idf1 == pytest.approx(0.5)
    # each identity shares 5 frames with each animal: 5 / (10 + 10 - 5)
    assert result.assa == pytest.approx(1 / 3)
    assert result.deta == 1.0
    assert result.hota == pytest.approx(np.sqrt(1 / 3))


def test_a_track_in_two_pieces():
    predicted = make_poses([(0,)] * 6 + [(1,)] * 2)
    result = evaluate_tracks(predicted, make_poses([(0,)] * 8))
    # 6 instances with 6/8, 2 instances with 2/8
    assert result.assa == pytest.approx((6 * 6 / 8 + 2 * 2 / 8) / 8)
    assert result.n_switches == 1
    assert result.switches[0].frame == 6
    assert result.idf1 == pytest.approx(2 * 6 / 16)


def test_an_animal_missed_for_some_frames():
    predicted = make_poses([(0, 1)] * 4 + [(0, None)] * 2 + [(0, 1)] * 4)
    result = evaluate_tracks(predicted, make_poses(TWO))
    assert (result.n_switches, result.n_fragments) == (0, 1)
    assert result.mota == pytest.approx(1 - 2 / 20)
    assert result.deta == pytest.approx(18 / 20)
    assert result.assa == pytest.approx((10 * 1.0 + 8 * 0.8) / 18)


def test_false_instances():
    predicted = make_poses([(0, 1, 2)] * 10)
    result = evaluate_tracks(predicted, make_poses(TWO))
    assert result.deta == pytest.approx(20 / 30)
    assert result.assa == 1.0
    assert result.mota == pytest.approx(1 - 10 / 20)
    assert result.idp == pytest.approx(20 / 30)
    assert result.idr == 1.0


def test_instances_without_identity_are_missed_animals():
    predicted = make_poses([(0, -1)] * 10)
    result = evaluate_tracks(predicted, make_poses(TWO))
    assert result.n_predicted == 10
    assert result.deta == pytest.approx(0.5)
    assert result.mota == pytest.approx(0.5)


def test_frames_without_true_animals_count_where_they_are_asked_for():
    truth = make_poses([(0,)] * 4)
    predicted = make_poses([(0,)] * 4 + [(1,)] * 4)
    assert evaluate_tracks(predicted, truth).hota == 1.0
    frames = [(0, frame) for frame in range(8)]
    assert evaluate_tracks(predicted, truth, frames=frames).deta == pytest.approx(0.5)


def test_equal_names_in_two_videos_are_two_identities():
    truth = Poses.concat([make_poses(TWO), make_poses(TWO, video=1)])
    swapped = Poses.concat([make_poses(TWO), make_poses([(1, 0)] * 10, video=1)])
    result = evaluate_tracks(swapped, truth)
    assert (result.hota, result.n_switches, result.n_truth_tracks) == (1.0, 0, 4)


def test_hota_goes_through_all_thresholds_and_the_others_use_one():
    # the box of an animal on a line has no area: 100 x 100 px stand in
    distance = np.sqrt(-np.log(0.52) * 2) * 2 * 0.1 * 100
    predicted = make_poses([(0,)] * 10, offset=distance)
    result = evaluate_tracks(predicted, make_poses([(0,)] * 10))
    assert result.loca < 1
    assert result.curves.hota == pytest.approx((ALPHAS <= 0.52).astype(float))
    assert result.hota == pytest.approx(10 / 19)
    assert result.mota == 1.0
    strict = evaluate_tracks(predicted, make_poses([(0,)] * 10), min_oks=0.53)
    assert strict.mota == pytest.approx(-1.0)
    sleap = evaluate_tracks(predicted, make_poses([(0,)] * 10), stddev=0.025)
    assert sleap.hota == 0.0


def test_nothing_predicted():
    truth = make_poses(TWO)
    result = evaluate_tracks(Poses.empty(SKELETON), truth)
    assert (result.hota, result.mota, result.idf1) == (0.0, 0.0, 0.0)
    assert result.n_predicted_tracks == 0


def test_refusals():
    truth = make_poses(TWO)
    with pytest.raises(DataError, match="nodes head, tail"):
        evaluate_tracks(Poses.empty(Skeleton(("a", "b"), ())), truth)
    with pytest.raises(DataError, match="true instances with a track"):
        evaluate_tracks(truth, Poses.empty(SKELETON))
    with pytest.raises(DataError, match="once in a frame of the tracks"):
        evaluate_tracks(make_poses([(0, 0)] * 3, ["a"]), truth)


def test_figures_are_plain_data():
    predicted = make_poses([(0, 1)] * 5 + [(1, 0)] * 5, ["p", "q"])
    values = evaluate_tracks(predicted, make_poses(TWO)).to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["switches"][0]["frame"] == 5


def test_of_two_alike_the_pair_that_belongs_together_is_chosen():
    # in frame 4 both predictions are equally near; identity 0 has been this animal
    similarity = [np.array([[1.0]])] * 4 + [np.array([[0.6, 0.6]])]
    identities = [np.array([0])] * 4 + [np.array([1, 0])]
    frames = [
        FramePair(np.array([0]), found, values)
        for found, values in zip(identities, similarity, strict=True)
    ]
    assert compute_hota(frames, 1, 2).assa[0] == 1.0


@st.composite
def random_frames(draw):
    n_truth, n_predicted = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = []
    for _ in range(draw(st.integers(1, 8))):
        true = rng.permutation(n_truth)[: rng.integers(0, n_truth + 1)]
        found = rng.permutation(n_predicted)[: rng.integers(0, n_predicted + 1)]
        frames.append(FramePair(true, found, rng.random((len(true), len(found)))))
    return frames, n_truth, n_predicted


@given(random_frames())
def test_hota_in_any_case(case):
    frames, n_truth, n_predicted = case
    result = compute_hota(frames, n_truth, n_predicted)
    for name, values in vars(result).items():
        assert values.shape == (19,), name
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), name
    assert (np.diff(result.deta) <= 1e-12).all()  # a higher threshold finds no more
    assert result.hota == pytest.approx(np.sqrt(result.deta * result.assa))
    assert (result.assa <= np.minimum(result.assre, result.asspr) + 1e-12).all()
    # the same with sides exchanged, but for recall and precision
    other = compute_hota(
        [FramePair(f.predicted, f.truth, f.similarity.T) for f in frames], n_predicted, n_truth
    )
    assert other.hota == pytest.approx(result.hota)
    assert other.detre == pytest.approx(result.detpr)
    assert other.assre == pytest.approx(result.asspr)
