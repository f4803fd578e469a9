"""Every format of label files, in and out."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import imageio.v3 as iio
import numpy as np
import pytest
import scipy.io
import sleap_io
from hypothesis import given, settings
from hypothesis import strategies as st
from sleap_everything import write_everything
from strategies import pose_tables

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, DataError, FileFormatError, OutputError
from napari_animalpose.io.labels import FORMATS, read_labels, sniff_format, write_labels
from napari_animalpose.io.slots import assign_slots
from napari_animalpose.io.video import LazyVideo

SKELETON = Skeleton(("nose", "hip", "tail"), ((0, 1), (1, 2)), name="mouse")


def lazy(name: str = "mouse.mp4") -> LazyVideo:
    return LazyVideo(name, shape=(100, 48, 64, 1), fps=30.0)


def make_images(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        iio.imwrite(folder / name, np.full((20 + number, 30), number, np.uint8))


@pytest.fixture
def tracked() -> Project:
    """Two tracked mice with scores; the second is not in every frame."""
    rng = np.random.default_rng(3)
    xy = rng.uniform(0, 60, (5, 3, 2)).astype(np.float32)
    xy[1, 2] = np.nan
    poses = Poses.from_arrays(
        SKELETON,
        frame=[0, 0, 4, 4, 9],
        track=[0, 1, 1, 0, 0],
        xy=xy,
        origin=Origin.PREDICTED,
        point_score=np.where(np.isnan(xy[..., 0]), np.nan, rng.random((5, 3)).astype(np.float32)),
        score=rng.random(5),
        track_score=[0.5, np.nan, 0.25, 0.75, 1],
        track_names=("ann", "ben"),
    )
    return Project((lazy(),), poses)


@pytest.fixture
def untracked() -> Project:
    """Three, one and two mice without identities."""
    xy = np.arange(36, dtype=np.float32).reshape(6, 3, 2)
    return Project((lazy(),), Poses.from_arrays(SKELETON, frame=[2, 2, 2, 5, 7, 7], xy=xy))


# ------------------------------------------------------------------------------- what it is
@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.slp", "slp"),
        ("a.analysis.h5", "analysis"),
        ("a.h5", "analysis"),
        ("a.csv", "csv"),
        ("a.csv", "dlc"),
        ("a.json", "coco"),
        ("b.json", "labelstudio"),
        ("a.nwb", "nwb"),
    ],
)
def test_sniffing_what_was_written(
    tmp_path: Path,
    tracked: Project,
    name: str,
    format: str,  # noqa: A002
) -> None:
    make_images(tmp_path / "images", [f"{i}.png" for i in range(10)])
    images = LazyVideo([tmp_path / "images" / f"{i}.png" for i in range(10)])
    project = tracked.with_videos([images])
    assert write_labels(project, tmp_path / name, format=format) == (tmp_path / name,)
    assert sniff_format(tmp_path / name) == format
    again = read_labels(tmp_path / name)
    assert len(again.poses) == len(tracked.poses)
    np.testing.assert_array_equal(
        np.sort(again.poses.xy.ravel()), np.sort(tracked.poses.xy.ravel())
    )


def test_the_suffix_chooses_the_format(tmp_path: Path, tracked: Project) -> None:
    for name, format_name in {"a.h5": "analysis", "a.csv": "csv", "a.json": "coco"}.items():
        write_labels(tracked, tmp_path / name)
        assert sniff_format(tmp_path / name) == format_name
    with pytest.raises(OutputError, match="Expected a file name that ends with one of"):
        write_labels(tracked, tmp_path / "a.txt")
    with pytest.raises(ConfigError, match="label format"):
        write_labels(tracked, tmp_path / "a.slp", format="unheard")
    with pytest.raises(OutputError, match="Expected a format that can be written"):
        write_labels(tracked, tmp_path / "a.mat", format="leap")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.h5", "a.json"]


@pytest.mark.parametrize("name", ["none.slp", "none"])
def test_a_path_that_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileFormatError, match="which does not exist"):
        read_labels(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"hello", "a file of another format"),
        ("a.h5", b"hello", "a file of another format"),
        ("a.slp", b"hello", "Expected a whole SLEAP label file"),
        ("a.json", b"{", "which is damaged"),
        ("a.json", b"[]", "a file of another format"),
        ("a.csv", b"a,b\n1,2\n", "Expected columns frame_idx"),
        ("a.csv", b"scorer,me\nbodyparts,nose\n", "rows scorer, bodyparts and coords"),
        ("a.csv", b"scorer,me\nbodyparts,nose\ncoords,x\n0,high\n", "numbers below the header"),
        ("a.json", b'{"images": [], "annotations": [], "categories": []}', "one set of key points"),
        ("a.mat", b"hello", "Expected a LEAP file"),
        ("a.nwb", b"hello", "Expected a NWB file"),
        ("config.yaml", b"bodyparts: [a]\nscorer: me\n", "Expected labels in files CollectedData"),
    ],
)
def test_files_that_are_no_labels(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_labels(path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_labels(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="a folder without labels"):
        read_labels(tmp_path)


def test_every_format_is_named_and_importable() -> None:
    for name in FORMATS:
        known = FORMATS.get(name)
        assert known.reader is None or callable(known.load_reader())
        assert known.writer is None or callable(known.load_writer())
        assert known.title
        assert known.suffix.startswith(".")


WRITABLE = [name for name in FORMATS if FORMATS.get(name).writer is not None]


@pytest.mark.parametrize("name", WRITABLE)
def test_a_project_without_poses(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"empty{FORMATS.get(name).suffix}"
    empty = Poses.empty(SKELETON)
    for videos in ((), (lazy(),)):
        assert write_labels(Project(videos, empty), path, format=name) == (path,)
    if name == "labelstudio":  # frames without animals are no tasks
        assert json.loads(path.read_text()) == []
        return
    again = read_labels(path)
    assert len(again.poses) == 0
    assert again.skeleton.nodes == SKELETON.nodes


# ---------------------------------------------------------------------------------- slots
@given(data=st.data())
def test_slots_hold_every_instance_once(data: st.DataObject) -> None:
    poses = data.draw(pose_tables())
    poses = poses.select(poses.video == 0)
    rows, slots, names = assign_slots(poses)
    places = list(zip(poses.frame[rows].tolist(), slots.tolist(), strict=True))
    assert len(set(places)) == len(rows) == len(set(rows.tolist()))
    assert set(slots.tolist()) == set(range(len(names)))
    assert all(
        names[s] == poses.track_names[poses.track[r]]
        for r, s in zip(rows, slots, strict=True)
        if poses.track[r] >= 0 and s < len(np.unique(poses.track[poses.track >= 0]))
    )
    for row in set(range(len(poses))) - set(rows.tolist()):  # only shadowed predictions
        same = (poses.frame == poses.frame[row]) & (poses.track == poses.track[row])
        assert poses.origin[row] == Origin.PREDICTED
        assert poses.track[row] >= 0
        assert (same & poses.is_label).any()


# ------------------------------------------------------------------------------- analysis
def test_analysis_layout(tmp_path: Path, tracked: Project) -> None:
    write_labels(tracked, tmp_path / "a.h5")
    poses = tracked.poses
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["tracks"].shape == (2, 2, 3, 10)
        assert file["track_occupancy"].shape == (10, 2)
        assert file["point_scores"].shape == (2, 3, 10)
        assert file["instance_scores"].shape == file["tracking_scores"].shape == (2, 10)
        assert file["track_names"][()].tolist() == [b"ann", b"ben"]
        assert file["node_names"][()].tolist() == [b"nose", b"hip", b"tail"]
        assert file["edge_names"][()].tolist() == [[b"nose", b"hip"], [b"hip", b"tail"]]
        np.testing.assert_array_equal(file["edge_inds"], [[0, 1], [1, 2]])
        np.testing.assert_array_equal(file["tracks"][1, :, :, 4], poses.xy[2].T)
        np.testing.assert_array_equal(file["point_scores"][0, :, 9], poses.point_score[4])
        assert file["instance_scores"][1, 0] == poses.score[1]
        assert np.isnan(file["tracks"][1, :, :, 9]).all()
        expected = np.zeros((10, 2))
        expected[[0, 0, 4, 4, 9], [0, 1, 1, 0, 0]] = 1
        np.testing.assert_array_equal(file["track_occupancy"], expected)
        assert file["video_path"][()] == b"mouse.mp4"
        assert json.loads(file["provenance"][()]) == {}


def test_analysis_comes_back(tmp_path: Path, tracked: Project) -> None:
    write_labels(tracked, tmp_path / "a.h5")
    again = read_labels(tmp_path / "a.h5")
    order = np.lexsort((tracked.poses.track, tracked.poses.frame))
    expected = {name: column[order] for name, column in tracked.poses.columns.items()}
    assert again.poses == Poses.from_arrays(SKELETON, **expected, track_names=("ann", "ben"))


def test_analysis_is_what_sleap_reads(tmp_path: Path, tracked: Project, untracked: Project) -> None:
    for number, project in enumerate((tracked, untracked)):
        path = tmp_path / f"{number}.h5"
        write_labels(project, path)
        labels = sleap_io.load_analysis_h5(str(path))
        assert sum(len(frame) for frame in labels) == len(project.poses)
        found = {tuple(i.numpy()[0]) for frame in labels for i in frame}
        assert found == {tuple(xy) for xy in project.poses.xy[:, 0].tolist()}


def test_analysis_of_one_untracked_animal_has_no_track_name(tmp_path: Path) -> None:
    poses = Poses.from_arrays(SKELETON, frame=[1, 3], xy=np.ones((2, 3, 2)))
    write_labels(Project((lazy(),), poses), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["track_names"].shape == (0,)
        assert file["tracks"].shape == (1, 2, 3, 4)
    assert read_labels(tmp_path / "a.h5").tracks == ()


@settings(max_examples=15)
@given(data=st.data())
def test_no_export_drops_untracked_animals(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("export")
    poses = data.draw(pose_tables(SKELETON, max_rows=10, max_frame=3))
    placed = (poses.visibility != Visibility.MISSING).any(axis=1)
    poses = poses.select((poses.video == 0) & placed)
    poses = poses.replace(track=-1, track_names=())
    if not len(poses):
        return
    for format_name, suffix in {"analysis": "h5", "csv": "csv", "dlc": "csv"}.items():
        path = folder / f"{format_name}.{suffix}"
        write_labels(Project((lazy(),), poses), path, format=format_name)
        again = read_labels(path).poses
        assert sorted(map(repr, again.xy.tolist())) == sorted(map(repr, poses.xy.tolist()))


# ------------------------------------------------------------------------------------ csv
def test_csv_layout(tmp_path: Path, tracked: Project) -> None:
    write_labels(tracked, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == (
        "track,frame_idx,instance.score,nose.x,nose.y,nose.score,hip.x,hip.y,hip.score,"
        "tail.x,tail.y,tail.score"
    )
    assert len(lines) == 6
    assert lines[2].startswith("ben,0,")
    assert lines[2].endswith(",,,")


def test_csv_comes_back_bit_by_bit(tmp_path: Path, tracked: Project) -> None:
    write_labels(tracked, tmp_path / "mouse.csv")
    again = read_labels(tmp_path / "mouse.csv").poses
    no_edges = Skeleton(SKELETON.nodes)
    assert again == tracked.poses.replace(skeleton=no_edges, track_score=np.nan)


def test_several_videos_give_several_files(tmp_path: Path, tracked: Project) -> None:
    poses = tracked.poses.replace(video=[0, 0, 2, 2, 2])
    videos = (lazy("a.mp4"), lazy("b.mp4"), lazy("dir/c.mp4"))
    paths = write_labels(Project(videos, poses), tmp_path / "out.csv")
    assert [path.name for path in paths] == ["out.000_a.csv", "out.002_c.csv"]
    assert [len(read_labels(path).poses) for path in paths] == [2, 3]


# ----------------------------------------------------------------------------- DeepLabCut
SINGLE = """scorer,Mia,Mia,Mia,Mia
bodyparts,nose,nose,tail,tail
coords,x,y,x,y
labeled-data/day1/img02.png,1.5,2.5,,
labeled-data/day1/img01.png,3,4,5.25,6
labeled-data/day1/img09.png,,,,
"""
MULTI = """scorer,,,Mia,Mia,Mia,Mia,Mia,Mia,Mia,Mia
individuals,,,m1,m1,m1,m1,m2,m2,single,single
bodyparts,,,nose,nose,tail,tail,nose,nose,lamp,lamp
coords,,,x,y,x,y,x,y,x,y
labeled-data,day2,img1.png,1,2,3,4,5,6,7,8
labeled-data,day2,img2.png,,,,,9,10,,
"""
CONFIG = """Task: cage
scorer: Mia
bodyparts: [tail, nose, lamp]
skeleton: [[nose, tail], [tail, nose], [nose, gone]]
"""


def make_dlc_project(folder: Path) -> None:
    for day, text in {"day1": SINGLE, "day2": MULTI}.items():
        names = ["img02.png", "img01.png", "img09.png", "img1.png", "img2.png"]
        make_images(folder / "labeled-data" / day, names)
        (folder / "labeled-data" / day / "CollectedData_Mia.csv").write_text(text)
    (folder / "config.yaml").write_text(CONFIG)


def test_dlc_project(tmp_path: Path) -> None:
    make_dlc_project(tmp_path)
    for path in (tmp_path, tmp_path / "config.yaml"):
        project = read_labels(path)
        assert project.skeleton == Skeleton(("tail", "nose", "lamp"), ((1, 0),), name="cage")
        assert [len(video) for video in project.videos] == [3, 2]
        np.testing.assert_array_equal(project.labeled_frames(), [[0, 0], [0, 1], [1, 0], [1, 1]])
        assert project.tracks == ("m1", "m2", "single")
        nan = np.nan
        np.testing.assert_array_equal(
            project.poses.at(0, 0).xy, [[[nan, nan], [1.5, 2.5], [nan, nan]]]
        )
        np.testing.assert_array_equal(project.poses.at(0, 1).xy[0, 0], [5.25, 6])
        np.testing.assert_array_equal(project.poses.at(1, 0).track, [0, 1, 2])
        np.testing.assert_array_equal(project.poses.at(1, 1).xy[0, 1], [9, 10])
        assert np.all(project.poses.origin == Origin.USER)
    # Frame i is row i: its picture is the one that the row names, of its own size.
    assert project.videos[0][0].shape[0] == 20
    assert project.videos[0][1].shape[0] == 21
    assert project.videos[0][2].shape[0] == 22


def test_dlc_table_alone(tmp_path: Path) -> None:
    make_dlc_project(tmp_path)
    project = read_labels(tmp_path / "labeled-data" / "day1" / "CollectedData_Mia.csv")
    assert project.skeleton.nodes == ("tail", "nose")
    assert len(project.videos) == 1
    assert len(project.poses) == 2
    assert read_labels(tmp_path / "labeled-data" / "day1").poses == project.poses


def test_dlc_without_pictures(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(SINGLE)
    assert len(read_labels(path).poses) == 2


def test_dlc_pictures_elsewhere(tmp_path: Path) -> None:
    make_dlc_project(tmp_path / "project")
    path = tmp_path / "table.csv"
    path.write_text(SINGLE)
    project = read_labels(path, video_dirs=tmp_path / "project")
    assert project.videos[0][1].shape[0] == 21


def test_dlc_several_scorers(tmp_path: Path) -> None:
    make_dlc_project(tmp_path)
    folder = tmp_path / "labeled-data" / "day1"
    (folder / "CollectedData_Zoe.csv").write_text(SINGLE.replace("Mia", "Zoe").replace("1.5", "8"))
    assert read_labels(tmp_path).poses.at(0, 0).xy[0, 1, 0] == 1.5  # the config names Mia
    (tmp_path / "config.yaml").write_text(CONFIG.replace("Mia", "Eva"))
    with pytest.raises(FileFormatError, match=r"labels of one scorer.*(Mia, Zoe|Zoe, Mia)"):
        read_labels(tmp_path)
    (folder / "both.csv").write_text(SINGLE.replace("Mia,Mia\n", "Mia,Zoe\n", 1))
    with pytest.raises(FileFormatError, match="Expected one scorer"):
        read_labels(folder / "both.csv")


def test_dlc_hdf5(tmp_path: Path) -> None:
    import pandas as pd

    make_dlc_project(tmp_path)
    folder = tmp_path / "labeled-data" / "day1"
    table = pd.read_csv(folder / "CollectedData_Mia.csv", header=[0, 1, 2], index_col=0)
    expected = read_labels(tmp_path)
    table.to_hdf(folder / "CollectedData_Mia.h5", key="df_with_missing", mode="w")
    assert sniff_format(folder / "CollectedData_Mia.h5") == "dlc"
    (folder / "CollectedData_Mia.csv").unlink()
    assert read_labels(tmp_path).poses == expected.poses


def test_dlc_analysed_video(tmp_path: Path) -> None:
    (tmp_path / "cageDLC_resnet50_shuffle1.csv").write_text(
        "scorer,net,net,net,net,net,net\n"
        "bodyparts,nose,nose,nose,tail,tail,tail\n"
        "coords,x,y,likelihood,x,y,likelihood\n"
        "0,1,2,0.5,3,4,1\n"
        "1,,,,,,\n"
        "2,5,6,0.25,7,8,0.75\n"
    )
    (tmp_path / "cage.avi").touch()
    project = read_labels(tmp_path / "cageDLC_resnet50_shuffle1.csv")
    np.testing.assert_array_equal(project.poses.frame, [0, 2])
    np.testing.assert_array_equal(project.poses.origin, [Origin.PREDICTED] * 2)
    np.testing.assert_array_equal(project.poses.point_score, [[0.5, 1], [0.25, 0.75]])
    np.testing.assert_array_equal(project.poses.score, [0.75, 0.5])
    assert Path(project.videos[0].source) == tmp_path / "cage.avi"


def test_dlc_writes_what_it_reads(tmp_path: Path) -> None:
    make_dlc_project(tmp_path)
    project = read_labels(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    paths = write_labels(project, out / "labels.csv", format="dlc")
    assert [path.name for path in paths] == ["labels.000_day1.csv", "labels.001_day2.csv"]
    first = read_labels(paths[0], video_dirs=tmp_path).poses
    np.testing.assert_array_equal(first.xy, project.poses.between(0, 0, 9).xy)
    second = read_labels(paths[1], video_dirs=tmp_path).poses
    np.testing.assert_array_equal(second.xy, project.poses.between(1, 0, 9).xy)
    assert second.track_names == ("m1", "m2", "single")


def test_dlc_real_project(real_data: Path) -> None:
    for path in (real_data / "mouse_reaching", real_data / "mouse_reaching" / "config.yaml"):
        project = read_labels(path)
        assert len(project.videos) == 1
        assert len(project.videos[0]) == 55
        assert project.skeleton.nodes == ("Hand", "Finger1", "Tongue", "Joystick1", "Joystick2")
        assert project.skeleton.edges == ((0, 1), (3, 4))
        np.testing.assert_array_equal(project.labeled_frames()[:, 1], np.arange(55))
        np.testing.assert_allclose(
            project.poses.xy[0, 0], (185.25173502386923, 610.3622760638572), rtol=1e-7
        )
        assert project.poses.visibility[0, 2] == Visibility.MISSING
        sizes = {project.videos[0][frame].shape[:2] for frame in range(55)}
        assert sizes == {(747, 832), (470, 640)}


# ----------------------------------------------------------------------------------- COCO
def test_coco_flags_map_one_to_one(tmp_path: Path) -> None:
    poses = Poses.from_arrays(
        SKELETON,
        frame=[0, 0, 2],
        xy=np.arange(18).reshape(3, 3, 2) + 0.125,
        visibility=[[0, 1, 2], [2, 2, 1], [1, 0, 0]],
        track=[1, 0, -1],
        track_names=("x", "y"),
    )
    make_images(tmp_path, ["0.png", "1.png", "2.png"])
    video = LazyVideo([tmp_path / f"{i}.png" for i in range(3)])
    path = tmp_path / "coco.json"
    write_labels(Project((video,), poses, negative_frames=[(0, 1)]), path)
    data = json.loads(path.read_text())
    assert data["annotations"][0]["keypoints"] == [0, 0, 0, 2.125, 3.125, 1, 4.125, 5.125, 2]
    assert data["annotations"][0]["bbox"] == [2.125, 3.125, 2, 2]
    assert data["annotations"][0]["num_keypoints"] == 2
    assert data["categories"][0]["skeleton"] == [[1, 2], [2, 3]]
    assert [image["file_name"] for image in data["images"]] == ["0.png", "1.png", "2.png"]
    assert [image["height"] for image in data["images"]] == [20, 21, 22]
    again = read_labels(path)
    assert again.tracks == ("y", "x")
    assert again.poses == poses.replace(track=[0, 1, -1], track_names=("y", "x"))
    assert again.videos[0][2].shape[0] == 22
    assert len(sleap_io.load_coco(str(path))) == 3


def test_coco_needs_one_set_of_key_points(tmp_path: Path) -> None:
    categories = [{"id": i, "name": n, "keypoints": [n]} for i, n in enumerate("ab")]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    with pytest.raises(FileFormatError, match="received 2: a; b"):
        read_labels(path)


# ------------------------------------------------------------------- formats of other programs
def test_leap(tmp_path: Path) -> None:
    positions = np.arange(24, dtype=float).reshape(3, 2, 4)
    positions[0, :, 1] = np.nan
    names = np.array(["nose", "hip", "tail"], object)
    skeleton = {"nodes": names, "edges": np.array([[1, 2], [2, 3]])}
    scipy.io.savemat(
        tmp_path / "leap.mat",
        {"skeleton": skeleton, "positions": positions, "boxPath": "box.mp4"},
    )
    project = read_labels(tmp_path / "leap.mat")
    assert project.skeleton.nodes == ("nose", "hip", "tail")
    assert project.skeleton.edges == ((0, 1), (1, 2))
    np.testing.assert_array_equal(project.poses.xy, positions.transpose(2, 0, 1))


def test_alphatracker(tmp_path: Path) -> None:
    make_images(tmp_path, ["0.png", "1.png"])
    face = {"class": "Face", "x": 0, "y": 0, "width": 9, "height": 9}

    def points(*xy: tuple[float, float]) -> list[dict[str, object]]:
        return [{"class": "point", "x": x, "y": y} for x, y in xy]

    data = [
        {
            "filename": f"{number}.png",
            "class": "image",
            "annotations": [face, *points((1, 2), (3, 4)), face, *points((5, 6), (7, 8))],
        }
        for number in range(2)
    ]
    (tmp_path / "alpha.json").write_text(json.dumps(data))
    project = read_labels(tmp_path / "alpha.json")
    np.testing.assert_array_equal(project.poses.frame, [0, 0, 1, 1])
    np.testing.assert_array_equal(project.poses.xy[1], [[5, 6], [7, 8]])
    assert project.videos[0][1].shape[0] == 21


def test_nwb(tmp_path: Path, tracked: Project) -> None:
    write_labels(tracked, tmp_path / "poses.nwb")
    again = read_labels(tmp_path / "poses.nwb")
    assert sorted(again.tracks) == ["ann", "ben"]
    assert again.skeleton.nodes == SKELETON.nodes
    for name in ("ann", "ben"):
        old = tracked.poses.select(tracked.poses.track == tracked.tracks.index(name))
        new = again.poses.select(again.poses.track == again.tracks.index(name))
        np.testing.assert_array_equal(new.frame, old.frame)
        np.testing.assert_array_equal(new.xy, old.xy)


def test_nwb_keeps_videos_without_poses(tmp_path: Path, tracked: Project) -> None:
    videos = (lazy("day1/a.mp4"), lazy("day2/b, 5 frames a second.mp4"), lazy("c.mp4"))
    poses = tracked.poses.replace(video=1)
    write_labels(Project(videos, poses), tmp_path / "poses.nwb")
    again = read_labels(tmp_path / "poses.nwb")
    assert [video.source for video in again.videos] == [video.source for video in videos]
    np.testing.assert_array_equal(again.poses.video, 1)
    np.testing.assert_array_equal(again.poses.frame, poses.frame)


def test_paths_in_exports_are_found_from_any_folder(
    tmp_path: Path, tracked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "data" / "mouse.mp4").touch()
    project = tracked.with_videos([lazy("data/mouse.mp4")])
    for name in ("out/a.analysis.h5", "out/a.nwb"):
        write_labels(project, name)
        assert Path(read_labels(name).videos[0].source) == tmp_path / "data" / "mouse.mp4"


# ---------------------------------------------------------------------------- SLEAP objects
def test_project_to_sleap_and_back(tmp_path: Path) -> None:
    path = tmp_path / "everything.slp"
    write_everything(path)
    project = read_labels(path)
    labels = project.to_sleap()
    assert len(labels) == 5
    assert len(labels.labeled_frames[1].masks) == 2
    assert labels.provenance["filename"] == str(path)
    labels.labeled_frames[1].instances[1].points["xy"][0] = (1, 2)
    assert read_labels(path).poses == project.poses


def test_nwb_times(tmp_path: Path, tracked: Project) -> None:
    video = LazyVideo("mouse.mp4", shape=(100, 48, 64, 1), fps=29.97)
    write_labels(tracked.with_videos([video]), tmp_path / "poses.nwb")
    with h5py.File(tmp_path / "poses.nwb") as file:
        nose = file["processing/SLEAP_VIDEO_000_mouse/track=ann/nose"]
        np.testing.assert_array_equal(nose["timestamps"], np.array([0, 4, 9]) / 29.97)
        np.testing.assert_array_equal(nose["data"], tracked.poses.xy[[0, 3, 4], 0])
    labels = sleap_io.load_nwb(str(tmp_path / "poses.nwb"))
    assert sum(len(frame) for frame in labels) == 5


def test_relinking(tmp_path: Path) -> None:
    path = tmp_path / "everything.slp"
    write_everything(path)
    project = read_labels(path)
    make_images(tmp_path / "found", ["a.png"])
    image = tmp_path / "found" / "a.png"
    relinked = project.relink({1: str(image)})
    assert Path(relinked.videos[1].source.partition("::")[0]) != Path("C:/data/cam_b.avi")
    assert relinked.videos[0] is project.videos[0]
    with pytest.raises(DataError, match="number, name or source"):
        project.relink({"nobody.mp4": str(image)})
    with pytest.raises(DataError, match="received none of them"):
        project.relink(tmp_path / "found")
    (tmp_path / "found" / "cam_b.avi").touch()
    again = project.relink(tmp_path / "found")
    assert Path(again.videos[1].source) == tmp_path / "found" / "cam_b.avi"
