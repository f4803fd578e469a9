"""Frames: the same for the same recipe, whichever way they are reached."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from napari_animalpose.data.video import Video
from napari_animalpose.errors import ConfigError, OutputError
from napari_animalpose.sample import SPECIES, SampleConfig, make_sample


@pytest.mark.parametrize("species", SPECIES.names())
def test_video_follows_the_protocol(species: str) -> None:
    video = make_sample(n_frames=7, size=(96, 128), fps=40, species=species).video
    assert isinstance(video, Video)
    assert video.shape == (7, 96, 128, 1)
    assert (len(video), video.fps) == (7, 40.0)
    assert video[3].dtype == np.uint8
    assert video[3].shape == (96, 128, 1)
    assert np.array_equal(video[-1], video[6])
    for index in (7, -8):
        with pytest.raises(IndexError, match="Expected a frame from -7 to 6"):
            video[index]
    video.close()
    assert len(video[0]) == 96


@pytest.mark.parametrize("species", SPECIES.names())
def test_frames_do_not_depend_on_order_or_length(species: str) -> None:
    short = make_sample(n_frames=120, size=(128, 128), species=species, seed=3)
    long = make_sample(n_frames=300, size=(128, 128), species=species, seed=3)
    run = [short.video[i] for i in range(0, 120, 10)]
    for number in (11, 2, 7, 0, 5):
        assert np.array_equal(run[number], long.video[10 * number])
    assert np.array_equal(short.points, long.points[:120])
    assert np.array_equal(short.behavior, long.behavior[:120])
    assert np.array_equal(short.stance, long.stance[:120])


def test_seeds_make_other_recordings() -> None:
    one, other = (make_sample(n_frames=2, size=(96, 96), seed=seed) for seed in (0, 1))
    assert not np.array_equal(one.video[0], other.video[0])
    assert np.abs(one.points[0] - other.points[0]).max() > 5


def test_noise_has_the_stated_deviation_and_is_new_in_every_frame() -> None:
    video = make_sample(n_frames=3, noise_sd=4.0).video
    residuals = [video[i][..., 0] - video.clean(i) for i in range(3)]
    for residual in residuals:
        assert abs(residual.mean()) < 0.1
        assert residual.std() == pytest.approx(np.hypot(4.0, 12**-0.5), rel=0.03)
    assert abs(np.corrcoef(residuals[0].ravel(), residuals[1].ravel())[0, 1]) < 0.02


def test_frame_without_noise_is_the_clean_frame_rounded() -> None:
    video = make_sample(n_frames=1, size=(96, 96), noise_sd=0.0).video
    assert np.abs(video[0][..., 0] - np.clip(video.clean(0), 0, 255)).max() <= 0.5 + 1e-4


def test_animals_are_drawn_where_their_parts_are_and_nowhere_else() -> None:
    sample = make_sample(n_frames=40, floor=False, noise_sd=0.0)
    parts = [p.name for p in (*sample.species.bones, *sample.species.shapes)]
    masks = [sample.video.part_mask(39, animal, part) for animal in (0, 1) for part in parts]
    clean = sample.video.clean(39)
    flat = clean[2, 2]
    # highlights reach a little beyond the rim of an eye, by less than one gray level
    assert np.abs(clean - flat)[np.max(masks, axis=0) == 0].max() < 1.0
    eyes = sample.points[39, :, [sample.skeleton.index("eyeL"), sample.skeleton.index("eyeR")]]
    for x, y in eyes.reshape(-1, 2):
        assert clean[round(y) + 1, round(x) + 1] < flat - 60


def test_individuals_differ_only_if_asked_to() -> None:
    same = make_sample(n_frames=1, n_animals=3, individual_differences=0.0)
    assert np.ptp(same.body_length_px) == 0
    for number in (1, 2):
        coats = [same.video.renderer.coats[k] for k in (0, number)]
        for (_, one, _), (_, two, _) in zip(*(coat.parts for coat in coats), strict=True):
            assert np.array_equal(one.texels, two.texels)
    other = make_sample(n_frames=1, n_animals=3)
    assert len(set(other.body_length_px.tolist())) == 3
    tones = sorted(coat.tone for coat in other.video.renderer.coats)
    assert tones == pytest.approx([0.89, 1.0, 1.11])


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"n_frames": 0}, "n_frames"),
        ({"n_animals": 0}, "n_animals"),
        ({"size": (31, 64)}, "height"),
        ({"size": (64, 31)}, "width"),
        ({"fps": 4.9}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"individual_differences": -0.1}, "individual_differences"),
        ({"noise_sd": 61}, "noise_sd"),
        ({"body_length_px": 11}, "body_length_px"),
        ({"species": "unicorn"}, "species"),
    ],
)
def test_recipe_out_of_range_is_refused(change: dict[str, object], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        make_sample(**change)


def test_recipe_keeps_unchanged_fields() -> None:
    config = SampleConfig(n_frames=5, size=(64, 80), seed=9)
    assert make_sample(config, n_animals=1).config == SampleConfig(5, 1, (64, 80), seed=9)


def test_saved_folder_holds_video_and_truth(tmp_path: Path) -> None:
    sample = make_sample(n_frames=6, size=(96, 96))
    path = sample.save(tmp_path / "new" / "sample")
    assert path == tmp_path / "new" / "sample" / "video.mp4"
    assert path.stat().st_size > 0
    with np.load(path.parent / "truth.npz") as truth:
        assert np.array_equal(truth["points"], sample.points)
        assert np.array_equal(truth["visibility"], sample.visibility)
        assert np.array_equal(truth["stance"], sample.stance)
    lines = (path.parent / "behavior.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "frame,animal,behavior"
    assert lines[4] == f"1,fly 2,{sample.behavior_names[sample.behavior[1, 1]]}"
    assert len(lines) == 1 + 6 * 2


def test_saving_where_a_file_is_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(OutputError, match="Expected a folder to write the sample to"):
        make_sample(n_frames=1, size=(64, 64)).save(tmp_path / "taken")


def test_a_disk_that_fills_up_leaves_the_old_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sample(n_frames=2, size=(64, 64), seed=1).save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(path: Path, **arrays: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez_compressed", fail)
    sample = make_sample(n_frames=2, size=(64, 64), seed=2)
    with pytest.raises(OutputError, match="full disk"):
        sample.save(tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    assert after["truth.npz"] == before["truth.npz"]
    assert after["video.mp4"] == before["video.mp4"]


@pytest.mark.parametrize("species", SPECIES.names())
def test_markings_are_pale_and_others_on_every_animal(species: str) -> None:
    recipe = {"n_frames": 1, "n_animals": 4, "size": (240, 240), "species": species, "seed": 5}
    plain, marked = (make_sample(**recipe, markings=m, noise_sd=0.0) for m in (False, True))
    assert plain.poses == marked.poses
    changed = marked.video.clean(0) - plain.video.clean(0)
    assert changed.max() > 60  # gray levels
    assert changed.min() > -15
    sets = [
        frozenset(s.name for s in marked.species.coat_shapes(number, True)) for number in range(4)
    ]
    assert sets[0] == {shape.name for shape in marked.species.shapes}
    assert len(set(sets)) == 4


def test_there_are_only_so_many_sets_of_marks() -> None:
    assert len(make_sample(n_frames=1, n_animals=8, markings=True).track_names) == 8
    with pytest.raises(ConfigError, match="at most 8 animals with marks for the species fly"):
        make_sample(n_frames=1, n_animals=9, markings=True)
