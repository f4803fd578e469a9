"""What users name: files, frames, outputs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, FileFormatError, OutputError, VideoError
from napari_animalpose.pipeline.files import (
    check_output,
    format_frames,
    parse_frames,
    parse_frames_of_videos,
    read,
    select_frames,
)


@given(st.sets(st.integers(0, 500), min_size=1))
def test_frames_come_back_from_their_text(frames):
    text = format_frames(sorted(frames))
    np.testing.assert_array_equal(parse_frames(text, 501), sorted(frames))


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 120))
def test_a_range_with_a_step_is_pythons_range(first, last, step):
    first, last = min(first, last), max(first, last)
    expected = list(range(first, last + 1, step))
    assert parse_frames(f"{first}-{last}:{step}", 100).tolist() == expected
    assert parse_frames(f"{first}-:{step}", 100).tolist() == list(range(first, 100, step))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", [5]),
        ("0-3", [0, 1, 2, 3]),
        ("8-", [8, 9]),
        ("0-9:4", [0, 4, 8]),
        ("7,1,1-3", [1, 2, 3, 7]),
        (" 1 , 3 - 5 : 2 ", [1, 3, 5]),
    ],
)
def test_texts_that_mean_frames(text, expected):
    found = parse_frames(text, 10)
    assert found.tolist() == expected
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1,",
        "a",
        "-3",
        "1-2-3",
        "1:",
        "1:0",
        "1-5:00",
        "1.5",
        "1 2",
        "0x1",
        "5-3",
        "1-5:-1",
    ],
)
def test_texts_that_mean_nothing(text):
    with pytest.raises(ConfigError, match=r"^Expected frames"):
        parse_frames(text, 10)


@pytest.mark.parametrize("text", ["10", "0-10", "3-99", "10-"])
def test_frames_outside_of_the_video(text):
    with pytest.raises(ConfigError, match=r"Expected frames from 0 to 9; received"):
        parse_frames(text, 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-99", [[0, 1, 2, 3], [0, 1], []]),
        ("1-:2", [[1, 3], [1], []]),
        ("3,1", [[1, 3], [1], []]),
        ("2-5", [[2, 3], [], []]),
    ],
)
def test_each_of_several_videos_gives_the_frames_that_it_has(text, expected):
    assert [part.tolist() for part in parse_frames_of_videos(text, [4, 2, 0])] == expected


def test_frames_that_no_video_has_and_frames_that_the_only_video_lacks():
    with pytest.raises(ConfigError, match=r"from 0 to 3, the last one of the longest.*'4-9'"):
        parse_frames_of_videos("4-9", [4, 2])
    with pytest.raises(ConfigError, match="from 0 to 3; received '2-9'"):
        parse_frames_of_videos("2-9", [4])
    with pytest.raises(ConfigError, match="Expected frames like"):
        parse_frames_of_videos("3-1", [4, 2])


def test_the_shortest_text():
    assert format_frames([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
    assert format_frames([]) == ""


def test_rows_of_chosen_frames():
    poses = Poses.from_arrays(
        Skeleton(("a",)), video=[0, 0, 1, 1], frame=[3, 4, 3, 3], xy=np.zeros((4, 1, 2))
    )
    chosen = select_frames(poses, np.array([[1, 3], [0, 4]]))
    assert list(zip(chosen.video.tolist(), chosen.frame.tolist(), strict=True)) == [
        (0, 4), (1, 3), (1, 3),
    ]  # fmt: skip
    assert len(select_frames(poses, [])) == 0


def test_a_video_is_a_project_without_labels(tiny_labels):
    project = read(tiny_labels.with_name("video.mp4"))
    assert len(project.videos) == 1
    assert len(project.videos[0]) == 24
    assert len(project.poses) == 0


def test_what_is_no_file_of_ours_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="does not exist"):
        read(tmp_path / "nothing.slp")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(FileFormatError, match="another format"):
        read(tmp_path / "notes.txt")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(VideoError, match="empty file"):
        read(tmp_path / "empty.mp4")


def test_outputs_are_refused_before_any_work_and_nothing_is_left(tmp_path):
    check_output(tmp_path / "poses.slp")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "no" / "x.slp", tmp_path / "file" / "x.slp", tmp_path / "x.bogus"):
        with pytest.raises(OutputError, match=r"^Expected"):
            check_output(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
