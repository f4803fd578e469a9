from fractions import Fraction

import numpy as np
import pytest

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.video import Video
from napari_animalpose.drawing.colors import node_colors, qualitative_colors
from napari_animalpose.drawing.frames import DrawStyle
from napari_animalpose.drawing.render import render_frames, render_video
from napari_animalpose.errors import CancelledError, ConfigError, DataError

PAIR = Skeleton(("a", "b"), edges=((0, 1),))
STYLE = DrawStyle(node_radius_px=4, edge_width_px=2, font_size_px=10)


class ListVideo:
    """Frames from memory; their sizes may differ."""

    name = source = "list"

    def __init__(self, frames, fps=20.0):
        self.frames, self.fps = list(frames), fps
        sizes = np.array([frame.shape for frame in self.frames] or [(0, 0, 1)]).max(axis=0)
        self.shape = (len(self.frames), *sizes.tolist())

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, index):
        return self.frames[index]

    def close(self):
        pass


def black_video(n=6, height=48, width=64, **options):
    return ListVideo([np.zeros((height, width, 1), np.uint8)] * n, **options)


def moving_poses(n=6, track=0, video=0):
    """Node a moves right by 8 px a frame from (12, 16); node b rests at (40, 40)."""
    xy = np.full((n, 2, 2), 40.0)
    xy[:, 0] = np.stack([12.0 + 8 * np.arange(n), np.full(n, 16.0)], axis=1)
    return Poses.from_arrays(
        PAIR, frame=np.arange(n), xy=xy, track=track, track_names=["t"], video=video
    )


def decode(path):
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, stream.average_rate


def test_a_list_of_frames_is_a_video():
    assert isinstance(black_video(), Video)


def test_frames_are_drawn_with_their_own_poses():
    pictures = list(render_frames(black_video(), moving_poses(), style=STYLE))
    assert len(pictures) == 6
    for frame, picture in enumerate(pictures):
        np.testing.assert_array_equal(picture[16, 12 + 8 * frame], node_colors(PAIR)[0])
        np.testing.assert_array_equal(picture[40, 40], node_colors(PAIR)[1])


def test_only_the_asked_frames_of_the_asked_video_are_drawn():
    poses = Poses.concat([moving_poses(video=1), moving_poses(n=1, video=0)])
    pictures = list(render_frames(black_video(), poses, frames=[2, 4], video_index=1))
    assert len(pictures) == 2
    assert pictures[0][16, 28].any()
    assert pictures[1][16, 44].any()
    pictures = list(render_frames(black_video(), poses, frames=[2, 4], video_index=0))
    assert not np.any(pictures)


def test_scaling_enlarges_the_frame_and_maps_the_points():
    picture = next(render_frames(black_video(), moving_poses(), scale=3, style=STYLE))
    assert picture.shape == (144, 192, 3)
    # (12 + 0.5) * 3 - 0.5 = 37 and (16 + 0.5) * 3 - 0.5 = 49
    np.testing.assert_array_equal(picture[49, 37], node_colors(PAIR)[0])


def test_small_frames_are_letterboxed_onto_the_largest_size():
    frames = [np.full((48, 40, 1), 90, np.uint8), np.full((20, 64, 1), 90, np.uint8)]
    pictures = list(render_frames(ListVideo(frames), Poses.empty(PAIR)))
    assert [picture.shape for picture in pictures] == [(48, 64, 3)] * 2
    assert (pictures[0][:48, :40] == 90).all()
    assert not pictures[0][:, 40:].any()
    assert (pictures[1][:20] == 90).all()
    assert not pictures[1][20:].any()


def test_a_crop_follows_the_animal():
    video = black_video(n=30, width=400, height=100)
    poses = moving_poses(n=30)
    still = poses.replace(xy=np.stack([poses.xy[:, 0], poses.xy[:, 0] + (0, 20)], axis=1))
    pictures = list(
        render_frames(video, still, crop_px=40, crop_track="t", style=STYLE, frames=range(5, 25))
    )
    assert {picture.shape for picture in pictures} == {(40, 40, 3)}
    for picture in pictures[5:-5]:  # constant speed: the animal stays in the middle
        assert picture[10, 20].any()
        np.testing.assert_array_equal(picture, pictures[5])


def test_trails_hold_the_last_frames_of_the_chosen_node():
    style = DrawStyle(color_by="track", edge_width_px=2, node_radius_px=2, show_edges=False)
    render = list(
        render_frames(black_video(), moving_poses(), style=style, trail_frames=3, trail_of="a")
    )
    last = render[5]
    assert last[16, [40, 48]].any(axis=1).all()  # between frames 3, 4 and 5
    assert not last[16, [16, 24, 32]].any()
    np.testing.assert_allclose(last[16, 48] / qualitative_colors(1)[0].clip(1), 0.9, atol=0.9)


def test_frame_numbers_are_those_of_the_video():
    style = DrawStyle(frame_numbers=True, font_size_px=12)
    empty = Poses.empty(PAIR)
    all_frames = list(render_frames(black_video(), empty, style=style))
    (second,) = render_frames(black_video(), empty, style=style, frames=[1])
    np.testing.assert_array_equal(second, all_frames[1])
    assert (all_frames[1] != all_frames[2]).any()


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_the_written_video_holds_the_pictures(tmp_path, size):
    video = black_video(height=size[0], width=size[1])
    path = tmp_path / "out.mp4"
    seen = []
    result = render_video(
        video,
        moving_poses(),
        path,
        style=STYLE,
        scale=2,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert result == path
    assert seen == [(i, 6) for i in range(1, 7)]
    frames, rate = decode(path)
    assert rate == Fraction(20)
    expected = list(render_frames(video, moving_poses(), style=STYLE, scale=2))
    assert len(frames) == 6
    for written, drawn in zip(frames, expected, strict=True):
        height, width = min(len(written), len(drawn)), min(written.shape[1], drawn.shape[1])
        difference = np.abs(written[:height, :width].astype(int) - drawn[:height, :width])
        assert difference.mean() < 4  # a lossy codec with halved colour resolution
    assert list(tmp_path.iterdir()) == [path]


def test_a_source_without_a_frame_rate_gets_25_and_a_given_rate_wins(tmp_path):
    video = black_video(fps=float("nan"))
    render_video(video, moving_poses(), tmp_path / "a.mp4")
    assert decode(tmp_path / "a.mp4")[1] == 25
    render_video(video, moving_poses(), tmp_path / "b.mp4", fps=10)
    assert decode(tmp_path / "b.mp4")[1] == 10


def test_stopping_leaves_nothing_behind(tmp_path):
    done = []
    with pytest.raises(CancelledError, match="after 2 frames"):
        render_video(
            black_video(),
            moving_poses(),
            tmp_path / "out.mp4",
            on_progress=lambda i, _: done.append(i),
            should_stop=lambda: len(done) == 2,
        )
    assert not list(tmp_path.iterdir())


def test_stopping_keeps_an_older_video(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    with pytest.raises(CancelledError):
        render_video(black_video(), moving_poses(), path, should_stop=lambda: True)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("frames", [[], [6], [-1], [3, 2], [2, 2]])
def test_frames_that_the_video_does_not_have_are_refused(tmp_path, frames):
    with pytest.raises(DataError, match="Expected"):
        render_video(black_video(), moving_poses(), tmp_path / "out.mp4", frames=frames)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"fps": 0}, ConfigError),
        ({"scale": 0}, ConfigError),
        ({"trail_frames": -1}, ConfigError),
        ({"crop_px": 0}, ConfigError),
        ({"color_by": "mood"}, ConfigError),
        ({"trail_of": "tail"}, DataError),
        ({"crop_px": 20, "crop_track": "nobody"}, DataError),
        ({"video_index": 1, "crop_px": 20}, DataError),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(tmp_path, options, error):
    with pytest.raises(error, match="Expected"):
        render_video(black_video(), moving_poses(), tmp_path / "out.mp4", **options)
    assert not list(tmp_path.iterdir())


def test_real_flies_are_drawn_where_they_are(real_data):
    from napari_animalpose.io.video import open_video

    video = open_video(real_data / "flies_clip" / "clip.mp4")
    xy = np.array([[(300.0, 450.0), (400.0, 420.0)]])
    poses = Poses.from_arrays(PAIR, frame=[100], xy=xy)
    (picture,) = render_frames(video, poses, frames=[100], style=STYLE)
    assert picture.shape == (1024, 1024, 3)
    np.testing.assert_array_equal(picture[450, 300], node_colors(PAIR)[0])
