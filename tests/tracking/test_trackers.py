"""What holds for every tracker, and what each of them is for."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_animalpose.config import TrackConfig
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.tracking.base import TRACKERS, Instances
from napari_animalpose.tracking.flow import shift_points, to_gray
from napari_animalpose.tracking.kalman import VELOCITY_MEMORY, tabulate_prediction

BODY = np.array([[0.0, 0.0], [20.0, 0.0], [-20.0, 5.0], [0.0, 12.0]])
IMAGE = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
every_tracker = pytest.mark.parametrize("name", TRACKERS)


def make(name="kalman", n_nodes=4, n_classes=0, **changes):
    config = TrackConfig(tracker=name).replace(**({"confirm_frames": 1} | changes))
    return TRACKERS.get(name)(n_nodes, config, n_classes=n_classes)


def at(*places, body=BODY):
    """Instances of one body at some places (x, y)."""
    return Instances(np.array([body + place for place in places]).reshape(-1, *body.shape))


def update(tracker, instances, **kwargs):
    return tracker.update(instances, IMAGE, **kwargs).tolist()


def move(xy, x, y):
    return xy + np.array([x, y])


def turn(degrees):
    angle = np.deg2rad(degrees)
    return BODY @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


# ------------------------------------------------------------------------ every tracker
@every_tracker
def test_every_tracker_says_what_it_is_for(name):
    assert len(TRACKERS.get(name).summary) > 10


@every_tracker
def test_animals_keep_their_identity_whatever_their_order(name):
    tracker = make(name)
    places = [(100, 100), (300, 100), (500, 100)]
    assert update(tracker, at(*places)) == [0, 1, 2]
    rng = np.random.default_rng(0)
    for frame in range(30):
        order = rng.permutation(3)
        moved = [np.add(places[k], (2 * frame, frame)) for k in order]
        assert update(tracker, at(*moved)) == order.tolist()


@every_tracker
def test_one_animal_and_empty_frames(name):
    tracker = make(name)
    assert update(tracker, at()) == []
    assert update(tracker, at((50, 50))) == [0]
    assert update(tracker, at()) == []
    assert update(tracker, at((51, 50))) == [0]


@every_tracker
def test_an_instance_without_points_is_nobody(name):
    tracker = make(name)
    nothing = np.full((2, 4, 2), np.nan)
    assert update(tracker, Instances(nothing)) == [-1, -1]
    one = nothing.copy()
    one[1] = BODY
    assert update(tracker, Instances(one)) == [-1, 0]
    half = one.copy()
    half[0, :, 0] = 7.0  # x without y is no point
    assert update(tracker, Instances(half)) == [-1, 0]
    assert not np.isnan(half[1]).any()


@every_tracker
def test_all_leave_and_come_back(name):
    places = [(100, 100), (300, 100)]
    tracker = make(name, max_gap_frames=10)
    assert update(tracker, at(*places)) == [0, 1]
    for _ in range(10):
        assert update(tracker, at()) == []
    assert update(tracker, at(*places[::-1])) == [1, 0]
    for _ in range(11):
        update(tracker, at())
    assert update(tracker, at(*places)) == [2, 3]  # too long: others, for all we know
    known = make(name, max_gap_frames=10, max_animals=2)
    assert update(known, at(*places)) == [0, 1]
    assert update(known, at(*places[::-1]), frame=1000) == [1, 0]


@every_tracker
def test_a_new_animal_takes_over_the_identity_that_is_free(name):
    tracker = make(name, max_animals=2, max_gap_frames=5)
    update(tracker, at((100, 100), (300, 100)))
    for frame in range(6):
        assert update(tracker, at((300, 100 + frame))) == [1]
    # far from where 0 was: beyond its reach, but 0 is the only one free
    assert update(tracker, at((300, 106), (3000, 2000))) == [1, 0]
    assert update(tracker, at((3000, 2001), (300, 107))) == [0, 1]


def test_nobody_takes_an_identity_from_an_animal_that_may_still_be_near():
    tracker = make(max_animals=1, max_gap_frames=20, motion_fraction=0.05)
    update(tracker, at((100, 100)))
    assert update(tracker, at((3000, 100))) == [-1]
    assert update(tracker, at((101, 100))) == [0]
    assert update(tracker, at((3000, 100), (102, 100))) == [-1, 0]


def test_the_free_identity_of_the_nearest_and_most_alike_is_taken_over():
    tracker = make(max_animals=2, max_gap_frames=2)
    update(tracker, at((100, 100), (900, 100)))
    assert update(tracker, at((800, 500)), frame=40) == [1]
    classes = make(max_animals=2, max_gap_frames=2, n_classes=2, costs={"appearance": 1.0})
    eye = np.eye(2)
    classes.update(Instances(at((100, 100), (900, 100)).xy, classes=eye))
    like_the_first = Instances(at((5000, 500)).xy, classes=eye[:1])
    assert classes.update(like_the_first, frame=90).tolist() == [0]


def test_an_animal_gets_its_identity_when_it_is_confirmed_and_for_the_past():
    tracker = make(confirm_frames=3)
    steps = [tracker.follow(at((100 + frame, 100))) for frame in range(4)]
    assert [step.identity.tolist() for step in steps] == [[-1], [-1], [0], [0]]
    assert {int(step.tracklet[0]) for step in steps} == {0}
    assert [step.named for step in steps] == [(), (), ((0, 0, 0),), ()]


def test_false_detections_get_no_identity():
    tracker = make(confirm_frames=3, max_gap_frames=30)
    rng = np.random.default_rng(1)
    for frame in range(100):
        false = [tuple(rng.uniform(500, 5000, 2))]
        found = update(tracker, at((100 + frame, 100), *false))
        assert found == ([0, -1] if frame >= 2 else [-1, -1])
    assert tracker.identities.n_identities == 1


def test_a_lost_animal_that_starts_a_tracklet_is_recognised_afterwards():
    tracker = make(confirm_frames=8, motion_fraction=0.04, gate_spreads=5.0, max_gap_frames=60)
    for _ in range(8):
        tracker.follow(at((100, 100)))
    steps = [tracker.follow(at((110, 100))) for _ in range(7)]  # out of reach; the reach grows
    identities = [int(step.identity[0]) for step in steps]
    assert identities[0] == -1
    assert identities[-1] == 0
    assert [step.named for step in steps if step.named] == [((1, 0, 8),)]


def test_a_newcomer_near_a_lost_animal_is_that_animal_and_a_far_one_is_not():
    options = {"confirm_frames": 2, "motion_fraction": 0.04, "gate_spreads": 5.0}
    length = np.hypot(40.0, 12.0)  # of the box around the body
    for lengths, expected in ((1.9, [-1, 0, 0]), (2.1, [-1, 1, 1])):
        tracker = make(**options)
        for _ in range(8):
            update(tracker, at((100, 100)))
        jumped = at((100 + lengths * length, 100))
        assert [update(tracker, jumped)[0] for _ in range(3)] == expected


def test_a_newcomer_does_not_take_the_identity_of_an_animal_beside_it():
    tracker = make(confirm_frames=2, motion_fraction=0.04, gate_spreads=5.0)
    for _ in range(8):
        update(tracker, at((100, 100)))
    update(tracker, at((100, 100), (160, 100)))  # a second one comes while the first is there
    assert update(tracker, at((160, 100))) == [1]
    assert update(tracker, at((160, 100), (100, 100))) == [1, 0]


@every_tracker
def test_the_surest_start_the_tracks_where_animals_are_limited(name):
    tracker = make(name, max_animals=2)
    three = at((100, 100), (300, 100), (500, 100))
    scores = Instances(three.xy, np.array([0.5, 0.9, np.nan]))
    assert update(tracker, scores) == [1, 0, -1]


def test_poor_instances_start_no_track_but_continue_one():
    tracker = make(min_score=0.5, min_points=3)
    good, poor = at((100, 100)).xy, at((100, 100)).xy.copy()
    poor[0, :2] = np.nan
    assert update(tracker, Instances(poor, np.array([0.9]))) == [-1]
    assert update(tracker, Instances(good, np.array([0.4]))) == [-1]
    assert update(tracker, Instances(good, np.array([0.5]))) == [0]
    assert update(tracker, Instances(poor, np.array([0.1]))) == [0]
    assert update(make(min_score=0.5), Instances(good, np.array([np.nan]))) == [0]


def test_appearance_outweighs_place():
    eye = np.eye(2)
    for weight, expected in ((0.0, [0, 1]), (20.0, [1, 0])):
        tracker = make(n_classes=2, costs={"oks": 1.0, "appearance": weight})
        xy = at((100, 100), (110, 100)).xy
        tracker.update(Instances(xy, classes=eye))
        assert tracker.update(Instances(xy, classes=eye[::-1])).tolist() == expected


@every_tracker
def test_a_part_found_twice_does_not_take_the_place_of_the_whole(name):
    tracker = make(name, max_animals=1)
    update(tracker, at((100, 100)))
    for frame in range(20):  # one leg lies exactly where it was; the animal has moved a little
        both = at((100, 100), (102 + frame % 2, 102)).xy
        both[0, 1:] = np.nan
        assert update(tracker, Instances(both, np.array([0.9, 0.5]))) == [-1, 0]


def test_unknown_classes_say_nothing():
    tracker = make(n_classes=2)
    xy = at((100, 100)).xy
    assert tracker.update(Instances(xy, classes=np.full((1, 2), np.nan))).tolist() == [0]
    assert tracker.update(Instances(xy, classes=np.eye(2)[:1])).tolist() == [0]
    assert tracker.tracks["classes"].tolist() == [[1.0, 0.0]]
    assert tracker.update(Instances(xy, classes=np.full((1, 2), np.nan))).tolist() == [0]
    assert tracker.tracks["classes"].tolist() == [[1.0, 0.0]]


@every_tracker
def test_anchors_lead_the_tracks(name):
    tracker = make(name)
    places = [(100, 100), (300, 100)]
    update(tracker, at(*places))
    anchor = np.array([7, -1])
    assert update(tracker, Instances(at(*places).xy, anchor=anchor)) == [0, 1]
    # a person says: 7 is the other one now
    assert update(tracker, Instances(at(*places).xy, anchor=anchor[::-1]))[1] == 0
    assert update(tracker, at(*places))[1] == 0
    with pytest.raises(DataError, match="anchor once"):
        update(tracker, Instances(at(*places).xy, anchor=np.array([7, 7])))


def test_scores_are_low_where_animals_may_be_confused():
    tracker = make()
    apart, close = at((100, 100), (500, 100)), at((100, 100), (102, 100))
    tracker.follow(apart)
    clear = tracker.follow(apart).score
    other = make()
    other.follow(close)
    unclear = other.follow(close).score
    assert (clear > 0.9).all()
    assert (unclear < 0.7).all()
    assert (unclear > 0.4).all()


# --------------------------------------------------------------------------- properties
instances = st.lists(
    st.tuples(st.floats(0, 300), st.floats(0, 300), st.integers(0, 15), st.floats(0, 1)),
    max_size=6,
)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(instances, st.integers(1, 4)), max_size=12),
    st.sampled_from(list(TRACKERS)),
    st.integers(0, 4),
    st.sampled_from(["hungarian", "greedy"]),
    st.integers(1, 3),
)
def test_no_identity_twice_in_a_frame_and_never_too_many(
    frames, name, max_animals, assignment, confirm_frames
):
    tracker = make(
        name,
        max_animals=max_animals,
        assignment=assignment,
        confirm_frames=confirm_frames,
        max_gap_frames=3,
    )
    frame = 0
    seen: dict[tuple[int, int], int] = {}  # (tracklet, frame) -> identity
    for found, gap in frames:
        frame += gap
        xy = np.array([move(BODY, x, y) for x, y, _, _ in found]).reshape(-1, 4, 2)
        missing = np.array([[mask >> k & 1 for k in range(4)] for *_, mask, _ in found], bool)
        xy[missing.reshape(-1, 4)] = np.nan
        step = tracker.follow(
            Instances(xy, np.array([score for *_, score in found])), IMAGE, frame=frame
        )
        named = step.identity[step.identity >= 0].tolist()
        assert len(set(named)) == len(named)
        assert max(named, default=-1) < (max_animals or np.inf)
        assert (step.identity[np.isnan(xy[..., 0]).all(axis=1)] == -1).all()
        followed = step.tracklet >= 0
        assert ((step.score[followed] >= 0) & (step.score[followed] <= 1)).all()
        assert np.isnan(step.score[~followed]).all()
        for tracklet, identity in zip(step.tracklet.tolist(), step.identity.tolist(), strict=True):
            seen[tracklet, frame] = identity
        for naming in step.named:
            for key in [k for k in seen if k[0] == naming.tracklet and k[1] >= naming.since]:
                seen[key] = naming.identity
    for number in range(frame + 1):  # also after the fact
        here = [i for (t, f), i in seen.items() if f == number and t >= 0 and i >= 0]
        assert len(set(here)) == len(here)


@every_tracker
def test_what_a_tracker_holds_does_not_grow_with_the_frames(name):
    tracker = make(name, max_animals=2, max_gap_frames=10)
    rng = np.random.default_rng(0)
    for frame in range(1, 3001):
        places = [(100 + frame % 50, 100), (100, 400 - frame % 50), rng.uniform(900, 4000, 2)]
        update(tracker, at(*places[: 2 if frame % 200 == 0 else 3]))
        if frame == 200:
            early = len(pickle.dumps(tracker))
    assert tracker.identities.n_tracklets > 2000
    assert len(pickle.dumps(tracker)) < early + 100  # numbers of more digits


@pytest.mark.parametrize("max_animals", [0, 3])
@every_tracker
def test_memory_is_flat(name, max_animals):
    tracker = make(name, max_animals=max_animals, confirm_frames=2, max_gap_frames=10)
    rng = np.random.default_rng(0)
    sizes = []
    for frame in range(400):
        places = [(100 + frame, 100), (100, 400 + frame), *rng.uniform(0, 4000, (3, 2))]
        update(tracker, at(*places))
        sizes.append(tracker.nbytes)
    assert tracker.identities.n_tracklets > 1000  # false ones, all forgotten
    assert max(sizes[200:]) <= max(sizes[20:200]) * 1.5
    assert len(tracker.tracks) <= 3 + 5 * (2 + 11)


# ------------------------------------------------------------------------------ refusals
def test_refusals():
    tracker = make()
    update(tracker, at((0, 0)), frame=5)
    with pytest.raises(DataError, match="Expected a frame after 5; received 5"):
        update(tracker, at((0, 0)), frame=5)
    with pytest.raises(DataError, match=r"shape \(I, 4, 2\); received \(1, 3, 2\)"):
        update(tracker, at((0, 0), body=BODY[:3]))
    with pytest.raises(DataError, match=r"score of shape \(1,\); received \(2,\)"):
        update(tracker, Instances(at((0, 0)).xy, np.zeros(2)))
    with pytest.raises(ConfigError, match="body_length_px"):
        make(n_nodes=1)
    with pytest.raises(ConfigError, match="known assignment"):
        make(assignment="bogus")
    with pytest.raises(ConfigError, match=r"known cost .*received 'bogus'"):
        make(costs={"bogus": 1.0})
    with pytest.raises(DataError, match="image of every frame"):
        make("flow").update(at((0, 0)))


@every_tracker
def test_skeletons_of_one_point(name):
    tracker = make(name, n_nodes=1, body_length_px=50.0, min_points=2)
    for frame in range(5):
        xy = np.array([[[10.0 + frame, 10.0]], [[200.0, 10.0]]])
        assert update(tracker, Instances(xy)) == [0, 1]


# ------------------------------------------------------------------------ each by itself
def test_kalman_keeps_animals_apart_that_pass_through_each_other():
    tracker = make("kalman")
    for frame in range(60):
        left, right = 100 + 4.0 * frame, 330 - 4.0 * frame  # meet between two frames
        assert update(tracker, at((left, 100), (right, 100))) == [0, 1]


def test_kalman_expects_an_animal_where_it_goes_while_it_is_hidden():
    tracker = make("kalman")
    for frame in range(20):
        update(tracker, at((100 + 5.0 * frame, 100)))
    expected = tracker.expect(22, None)
    assert expected.xy[0, 0, 0] == pytest.approx(100 + 5 * 22, abs=3.0)
    later = tracker.expect(40, None)
    assert later.growth[0] > expected.growth[0] > tracker.expect(20, None).growth[0]


def test_kalman_expects_a_missing_point_where_it_belongs():
    tracker = make("kalman")
    update(tracker, at((100, 100)))
    for frame in range(1, 40):
        seen = at((100 + 3.0 * frame, 100)).xy
        seen[0, 1:3] = np.nan
        update(tracker, Instances(seen))
    expected = tracker.expect(40, None).xy[0]
    assert expected == pytest.approx(move(BODY, 100 + 3 * 40, 100), abs=1.5)


def test_kalman_prediction_in_closed_form():
    transition, noise = tabulate_prediction()
    gaps = np.arange(len(transition))
    way = (1 - VELOCITY_MEMORY**gaps) / (1 - VELOCITY_MEMORY)
    assert transition[:, 0, 1] == pytest.approx(way)
    assert transition[:, 1, 1] == pytest.approx(VELOCITY_MEMORY**gaps)
    # a velocity of variance 1 keeps it
    assert transition[:, 1, 1] ** 2 + noise[:, 1, 1] == pytest.approx(1.0)


def test_kalman_is_not_bent_by_points_of_another():
    tracker = make("kalman")
    for _ in range(20):
        update(tracker, at((100, 100)))
    mixed = at((100, 100)).xy
    mixed[0, 1] += 40.0
    update(tracker, Instances(mixed))
    expected = tracker.expect(21, None).xy[0]
    assert np.abs(expected - (BODY + 100)).max() < 13.0


@every_tracker
def test_posture_tells_two_animals_in_one_place_apart(name):
    tracker = make(name)
    bodies = np.stack([turn(0), turn(120)]) + 100.0
    assert update(tracker, Instances(bodies)) == [0, 1]
    for _ in range(10):
        assert update(tracker, Instances(bodies[::-1].copy())) == [1, 0]


def test_window_bridges_one_bad_pose():
    tracker = make("window", window_frames=3)
    for _ in range(5):
        update(tracker, at((100, 100), (160, 100)))
    bad = at((100, 100), (160, 100)).xy
    bad[0] += (0.0, 12.0)
    assert update(tracker, Instances(bad)) == [0, 1]
    candidates = tracker.expect(6, None)
    assert len(candidates.track) == 6
    assert update(tracker, at((100, 100), (160, 100))) == [0, 1]
    assert len(tracker.expect(500, None).track) == 2  # the last pose of each stays


def moving_image(shift):
    """A smooth random texture that has moved by whole px (x, y), shape (160, 240)."""
    rng = np.random.default_rng(3)
    rough = rng.normal(size=(160, 240))
    spectrum = np.fft.fft2(rough)
    fy, fx = np.fft.fftfreq(160)[:, None], np.fft.fftfreq(240)[None]
    smooth = np.fft.ifft2(spectrum * np.exp(-((fx**2 + fy**2) * 300))).real
    smooth = np.roll(smooth, (shift[1], shift[0]), axis=(0, 1))
    return np.uint8(np.clip(128 + 50 * smooth / smooth.std(), 0, 255))


def test_flow_moves_points_with_the_image():
    xy = np.stack([move(BODY, 60, 60), move(BODY, 150, 90)])
    xy[1, 2] = np.nan
    moved = shift_points(moving_image((0, 0)), moving_image((6, -4)), xy, 15)
    assert moved == pytest.approx(move(xy, 6.0, -4.0), abs=0.1, nan_ok=True)


def test_flow_moves_points_that_left_the_image_as_the_others():
    xy = move(BODY[None], 60, 60)
    xy[0, 3] = (500.0, 500.0)
    moved = shift_points(moving_image((0, 0)), moving_image((3, 2)), xy, 15)
    assert moved == pytest.approx(move(xy, 3.0, 2.0), abs=0.1)
    nothing = np.full((1, 4, 2), np.nan)
    assert np.isnan(shift_points(IMAGE, IMAGE, nothing, 9)).all()


def test_flow_keeps_animals_apart_that_jump_as_far_as_they_are_apart():
    found = {}
    for name in ("flow", "window"):
        tracker = make(name)
        small = BODY / 2
        tracker.update(at((60, 80), (80, 80), body=small), moving_image((0, 0))[..., None])
        jumped = at((80, 80), (100, 80), body=small)
        found[name] = tracker.update(jumped, moving_image((20, 0))[..., None]).tolist()
    assert found["flow"] == [0, 1]
    assert found["window"] != [0, 1]


def test_gray_images():
    rgb = np.zeros((4, 5, 3), np.uint8)
    rgb[..., 1] = 100
    assert (to_gray(rgb) == 59).all()  # ITU-R BT.601
    assert to_gray(rgb[..., :1]).shape == (4, 5)
    assert to_gray(rgb[..., 0]).shape == (4, 5)
