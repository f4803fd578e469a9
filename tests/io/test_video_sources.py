"""Arrays, images, TIFF stacks, HDF5 data sets and packages, read as videos."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from napari_animalpose.data.video import Video
from napari_animalpose.errors import ConfigError, DataError, VideoError
from napari_animalpose.io.video import BACKENDS, choose_rule, is_video_path, open_video, to_luma

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (6, 20, 30), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)


def read_all(source: object, **options: object) -> NDArray[np.uint8]:
    """Read a video backwards and return it forwards."""
    with open_video(source, **options) as video:  # type: ignore[arg-type]
        assert isinstance(video, Video)
        frames = [video[i] for i in reversed(range(len(video)))][::-1]
        assert all(frame.dtype == np.uint8 for frame in frames)
        assert video.shape == (len(frames), *frames[0].shape)
        return np.stack(frames)


# Arrays and pixels


def test_array_is_read_as_it_is_and_stays_writeable() -> None:
    array = GRAY.copy()
    assert np.array_equal(read_all(array)[..., 0], GRAY)
    assert array.flags.writeable
    assert np.array_equal(read_all(COLOUR), COLOUR)


@given(index=st.integers(-20, 20))
def test_index_is_that_of_a_sequence(index: int) -> None:
    video = open_video(GRAY)
    if -6 <= index < 6:
        assert np.array_equal(video[index][..., 0], GRAY[index])
    else:
        with pytest.raises(IndexError, match="between 0 and 5"):
            video[index]


@pytest.mark.parametrize("shape", [(5,), (5, 6), (5, 6, 7, 5), (0, 6, 7), (1, 2, 3, 4, 5)])
def test_array_of_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="received shape"):
        open_video(np.zeros(shape, dtype=np.uint8))


@given(gray=st.integers(0, 255))
def test_luma_of_gray_is_itself(gray: int) -> None:
    assert to_luma(np.full((2, 2, 3), gray, dtype=np.uint8)).tolist() == [[[gray]] * 2] * 2


@pytest.mark.parametrize(
    ("rgb", "luma"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)]
)
def test_luma_of_primaries(rgb: tuple[int, ...], luma: int) -> None:
    assert to_luma(np.asarray([[rgb]], dtype=np.uint8)).item() == luma


def test_colour_file_with_gray_frames_is_gray() -> None:
    almost = np.repeat(GRAY[..., None] // 2 + 10, 3, axis=3)
    almost[..., 1] += 2
    assert open_video(almost).shape[3] == 1
    almost[..., 1] += 1
    assert open_video(almost).shape[3] == 3
    assert open_video(almost, grayscale=True).shape[3] == 1
    assert open_video(GRAY, grayscale=False).shape[3] == 3


@pytest.mark.parametrize(
    ("largest", "white"), [(200, 255), (900, 1023), (4000, 4095), (9000, 16383), (60000, 65535)]
)
def test_uint16_is_scaled_by_the_camera_depth(largest: int, white: int) -> None:
    array = np.linspace(0, largest, 4 * 20 * 30).reshape(4, 20, 30).astype(np.uint16)
    expected = np.rint(array * (255 / white))
    assert np.abs(read_all(array)[..., 0] - expected).max() <= 1


def test_one_scale_for_all_frames() -> None:
    array = np.full((5, 20, 30), 1000, dtype=np.uint16)
    array[4] = 3000  # a flash must not darken or brighten the others
    levels = read_all(array)[:, 0, 0, 0].tolist()
    assert levels == [round(1000 * 255 / 4095)] * 4 + [round(3000 * 255 / 4095)]


def test_floats_and_booleans_and_nan() -> None:
    unit = np.linspace(0, 1, 3 * 20 * 30, dtype=np.float32).reshape(3, 20, 30)
    assert np.array_equal(read_all(unit)[..., 0], np.rint(unit * 255).astype(np.uint8))
    wide = unit * 50 - 20
    wide[0, 0, 1] = np.nan
    levels = read_all(wide)[..., 0]
    assert (levels[0, 0, 0], levels[0, 0, 1], levels[-1, -1, -1]) == (0, 0, 255)
    assert set(np.unique(read_all(GRAY > 99))) == {0, 255}


def test_constant_signed_values_stay_black() -> None:
    rule = choose_rule([np.full((4, 4), -7, dtype=np.int32)], None)
    assert rule.apply(np.full((4, 4), -7, dtype=np.int32)).max() == 0


# Images


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
@pytest.mark.parametrize("frames", [GRAY, COLOUR], ids=["gray", "colour"])
def test_image_folder_in_natural_order(
    tmp_path: Path, suffix: str, frames: NDArray[np.uint8]
) -> None:
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"img{7 + i}{suffix}")  # img7 ... img12
    (tmp_path / "notes.txt").write_text("not a frame")
    assert np.array_equal(read_all(tmp_path).squeeze(), frames)


def test_image_list_with_sizes_and_colours_mixed(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("b.png", "a.png", "c.png")]
    frames = [GRAY[0], COLOUR[0, :10], GRAY[1, :, :12]]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path)
    video = open_video(paths)
    assert video.shape == (3, 20, 30, 3)
    assert [video[i].shape for i in range(3)] == [(20, 30, 3), (10, 30, 3), (20, 12, 3)]
    assert np.array_equal(video[1], COLOUR[0, :10])
    assert np.array_equal(video[2], np.repeat(GRAY[1, :, :12, None], 3, axis=2))


def test_odd_image_modes(tmp_path: Path) -> None:
    deep = (GRAY[0].astype(np.uint16) * 257).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    palette = Image.fromarray(COLOUR[0]).quantize(16)
    palette.save(tmp_path / "palette.png")
    alpha = np.dstack([COLOUR[0], np.full((20, 30), 9, dtype=np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    assert np.array_equal(read_all(tmp_path / "deep.png")[0, ..., 0], GRAY[0])
    assert np.array_equal(read_all(tmp_path / "palette.png")[0], palette.convert("RGB"))
    assert np.array_equal(read_all(tmp_path / "alpha.png")[0], COLOUR[0])


def test_image_errors(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="which holds none"):
        open_video(tmp_path)
    with pytest.raises(VideoError, match="empty list"):
        open_video([])
    with pytest.raises(VideoError, match=r"no such file.*--video-dir"):
        open_video([tmp_path / "gone.png"])
    with pytest.raises(VideoError, match="one by one"):
        open_video([tmp_path / "film.mp4"])
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(VideoError, match="cannot be decoded"):
        open_video(tmp_path / "bad.png")[0]


def test_labelled_frames_of_a_real_project(real_data: Path) -> None:
    video = open_video(real_data / "mouse_reaching" / "labeled-data" / "reachingvideo1")
    sizes = [video[i].shape[:2] for i in range(len(video))]
    assert len(sizes) == 55
    assert {(h, w): sizes.count((h, w)) for h, w in sizes} == {(747, 832): 40, (470, 640): 15}
    assert video.shape[:3] == (55, 747, 832)


# TIFF


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib"}, {"imagej": True}, {"ome": True}],
    ids=["plain", "compressed", "imagej", "ome"],
)
@pytest.mark.parametrize("frames", [GRAY, COLOUR], ids=["gray", "colour"])
def test_tiff_stacks(tmp_path: Path, frames: NDArray[np.uint8], options: dict[str, bool]) -> None:
    path = tmp_path / "stack.tif"
    colour = {"photometric": "rgb"} if frames.ndim == 4 else {"photometric": "minisblack"}
    tifffile.imwrite(path, frames, **colour, **options)
    assert np.array_equal(read_all(path).squeeze(), frames)


def test_tiff_planes_as_pages_and_sizes_mixed(tmp_path: Path) -> None:
    planes = tmp_path / "planes.tif"
    tifffile.imwrite(
        planes, np.moveaxis(COLOUR, 3, 1), metadata={"axes": "TCYX"}, ome=True,
        photometric="minisblack",
    )  # fmt: skip
    assert np.array_equal(read_all(planes), COLOUR)
    mixed = tmp_path / "mixed.tif"
    with tifffile.TiffWriter(mixed) as writer:
        writer.write(GRAY[0], photometric="minisblack")
        writer.write(GRAY[1, :10], photometric="minisblack")
    video = open_video(mixed)
    assert (video.shape, video[1].shape) == ((2, 20, 30, 1), (10, 30, 1))
    video.close()
    assert np.array_equal(video[1][..., 0], GRAY[1, :10])
    video.close()


def test_tiff_errors(tmp_path: Path) -> None:
    path = tmp_path / "bad.tif"
    path.write_bytes(b"II*\x00 not really")
    with pytest.raises(VideoError, match="damaged or truncated"):
        open_video(path)
    channels = tmp_path / "channels.tif"
    two = np.zeros((4, 2, 20, 30), dtype=np.uint8)
    tifffile.imwrite(channels, two, metadata={"axes": "TCYX"}, imagej=True)
    with pytest.raises(VideoError, match="one or three channels"):
        open_video(channels)


# HDF5


@pytest.mark.parametrize("layout", ["NHWC", "NCWH", "HWCN"])
@pytest.mark.parametrize("channels", [1, 3])
def test_hdf5_layouts_are_found_by_shape(tmp_path: Path, layout: str, channels: int) -> None:
    frames = COLOUR[..., :channels]
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w") as file:
        file["box"] = frames.transpose(["NHWC".index(axis) for axis in layout])
        file["confmaps"] = np.zeros((6, 20, 30, 13), dtype=np.float32)
    assert np.array_equal(read_all(path), frames)
    assert np.array_equal(read_all(path, dataset="box", layout=layout), frames)


def test_hdf5_gray_stacks(tmp_path: Path) -> None:
    path = tmp_path / "frames.hdf5"
    with h5py.File(path, "w") as file:
        file["a/first"] = GRAY
        file.create_dataset("a/last", data=np.moveaxis(GRAY, 0, 2), chunks=(20, 30, 1))
    assert np.array_equal(read_all(path)[..., 0], GRAY)
    assert np.array_equal(read_all(path, dataset="a/last")[..., 0], GRAY)


def test_hdf5_errors(tmp_path: Path) -> None:
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w") as file:
        file["tracks"] = np.zeros((7, 2, 5))
    with pytest.raises(VideoError, match="tracks"):
        open_video(path)
    with pytest.raises(VideoError, match="'nothing'"):
        open_video(path, dataset="nothing")
    with pytest.raises(VideoError, match="its axes"):
        open_video(path, dataset="tracks", layout="NHWC")
    path.write_bytes(b"\x89HDF\r\n\x1a\ncut")
    with pytest.raises(VideoError, match="damaged, truncated"):
        open_video(path)


def encode_png(frame: NDArray[np.uint8]) -> NDArray[np.int8]:
    file = BytesIO()
    Image.fromarray(frame).save(file, "png")
    return np.frombuffer(file.getvalue(), dtype=np.int8)


def write_package(path: Path, *, order: str | None, padded: bool, version: float = 1.4) -> None:
    """Write frames 3, 50 and 7 of COLOUR's first three in the layout of a package."""
    stored = [encode_png(f[..., ::-1] if order == "BGR" or version < 1.4 else f) for f in COLOUR]
    with h5py.File(path, "w") as file:
        file.create_group("metadata").attrs["format_id"] = version
        group = file.create_group("video0")
        if padded:
            data = np.zeros((3, max(map(len, stored))), dtype=np.int8)
            for row, png in zip(data, stored[:3], strict=True):
                row[: len(png)] = png
            dataset = group.create_dataset("video", data=data)
        else:
            dataset = group.create_dataset("video", (3,), dtype=h5py.vlen_dtype(np.int8))
            for i in range(3):
                dataset[i] = stored[i]
        dataset.attrs["format"] = "png"
        if order is not None:
            dataset.attrs["channel_order"] = order
        group["frame_numbers"] = np.asarray([3, 50, 7])
        source = {"backend": {"filename": "C:\\lab\\fly.mp4", "shape": [99, 20, 30, 3]}}
        group.create_group("source_video").attrs["json"] = json.dumps(source)


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize(("order", "version"), [("RGB", 1.4), ("BGR", 1.4), (None, 1.2)])
def test_package_frames_by_their_original_numbers(
    tmp_path: Path, order: str | None, version: float, padded: bool
) -> None:
    path = tmp_path / "labels.pkg.slp"
    write_package(path, order=order, padded=padded, version=version)
    for dataset in (None, "video0", "video0/video"):
        with open_video(path, dataset=dataset) as video:
            assert video.shape == (99, 20, 30, 3)
            assert video.frame_numbers.tolist() == [3, 50, 7]  # type: ignore[attr-defined]
            for frame, i in enumerate((3, 50, 7)):
                assert np.array_equal(video[i], COLOUR[frame])
            with pytest.raises(VideoError, match=r"frame 4\. Link the original.*fly\.mp4"):
                video[4]
            with pytest.raises(IndexError):
                video[99]


# All kinds


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    for name in ("gone.mp4", "gone.tif", "gone.h5", "gone.png", "gone.xyz", "gone"):
        with pytest.raises(VideoError, match=r"no such file.*--video-dir FOLDER.*relink"):
            open_video(tmp_path / name)
    (tmp_path / "table.xlsx").write_bytes(b"PK")
    with pytest.raises(VideoError, match=r"\.mp4.*table\.xlsx"):
        open_video(tmp_path / "table.xlsx")
    assert is_video_path("A.MP4")
    assert not is_video_path("a.xlsx")


def test_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.mp4"
    path.write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(VideoError, match=r"no permission.*secret\.mp4"):
        open_video(path)


def test_every_registered_kind_can_be_loaded() -> None:
    assert all(callable(BACKENDS.get(name)) for name in BACKENDS)
    with pytest.raises(ConfigError):
        BACKENDS.get(".xyz")
