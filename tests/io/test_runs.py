"""Run folders: what is written comes back, what is damaged is said in a sentence."""

import json

import numpy as np
import pytest

from napari_animalpose.config import ModelConfig, RunConfig, TrainConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError, ModelError, OutputError
from napari_animalpose.io.runs import RunFolder, read_json, versions, write_json

SKELETON = Skeleton(("head", "left", "right"), ((0, 1), (0, 2)), ((1, 2),), "bug")
SPLIT = {"train": [(0, 1), (1, 7)], "validation": [(0, 3)], "test": []}
WEIGHTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(0, np.float32), np.float32(3)]
SHAPES = [(2, 3), (0,), ()]


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.create()
    return folder


def test_a_folder_is_made_with_its_parents_and_may_be_there_empty(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.create()
    folder.create()
    assert list(folder.path.iterdir()) == []


def test_a_folder_with_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"^Expected a new or empty folder; received"):
        RunFolder(tmp_path).create()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_path_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match=r"^Expected a folder that can be written"):
            RunFolder(path).create()


@pytest.mark.parametrize("error", [CancelledError("stop"), ValueError("bug"), KeyboardInterrupt()])
def test_a_folder_without_weights_is_removed_when_the_work_fails(folder, error):
    folder.write_split(SPLIT)
    with pytest.raises(type(error)), folder.remove_if_useless():
        raise error
    assert not folder.path.exists()


def test_weights_outlive_a_failure_but_not_a_cancellation(folder):
    folder.write_weights("net", WEIGHTS)
    with pytest.raises(ModelError), folder.remove_if_useless():
        raise ModelError("the loss is NaN")
    assert len(folder.read_weights("net", SHAPES)) == 3
    with pytest.raises(CancelledError), folder.remove_if_useless():
        raise CancelledError
    assert not folder.path.exists()


def test_everything_comes_back(folder):
    config = RunConfig(networks={"x": ModelConfig(backbone="leap")}, train=TrainConfig(seed=5))
    folder.write_config(config)
    folder.write_skeleton(SKELETON)
    folder.write_split(SPLIT)
    assert folder.read_config() == config
    assert folder.read_skeleton() == SKELETON
    assert folder.read_skeleton().name == "bug"
    assert folder.read_split() == SPLIT


def test_weights_and_state_come_back_in_their_order(folder):
    many = [np.full((2,), i, np.float32) for i in range(120)]
    folder.write_weights("net", many)
    back = folder.read_weights("net", [(2,)] * 120)
    np.testing.assert_array_equal(back, many)
    folder.write_state("net", WEIGHTS, [np.int64(7), *many])
    raw, optimizer = folder.read_state("net")
    assert [value.shape for value in raw] == SHAPES
    assert optimizer[0] == 7
    np.testing.assert_array_equal(optimizer[1:], many)


def test_weights_of_another_network_are_refused(folder):
    folder.write_weights("net", WEIGHTS)
    for shapes in ([(3, 2), (0,), ()], SHAPES[:2], [*SHAPES, (1,)]):
        with pytest.raises(ModelError, match="received those of another one"):
            folder.read_weights("net", shapes)


def test_arrays_of_objects_are_never_unpickled(folder):
    path = folder.path / "net" / "weights.npz"
    path.parent.mkdir()
    np.savez(path, w0000=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ModelError, match="damaged"):
        folder.read_weights("net", [(1,)])
    with pytest.raises(ValueError, match="allow_pickle"):
        folder.write_weights("net", [np.array([{}], dtype=object)])


def cut(content):
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "damage",
    [cut, lambda _: b"", lambda _: b"no archive", lambda c: c[:90] + b"\xff" + c[91:]],
    ids=["cut", "empty", "text", "flipped"],
)
def test_damaged_weights_are_said_to_be_damaged(folder, damage):
    folder.write_weights("net", WEIGHTS)
    path = folder.path / "net" / "weights.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match=r"^Expected .*(damaged|another one)"):
        folder.read_weights("net", SHAPES)


def test_a_single_array_is_no_archive_of_weights(folder):
    (folder.path / "net").mkdir()
    with (folder.path / "net" / "weights.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ModelError, match="damaged"):
        folder.read_weights("net", [(3,)])


READERS = {
    "config.json": RunFolder.read_config,
    "skeleton.json": RunFolder.read_skeleton,
    "split.json": RunFolder.read_split,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "5", '{"nodes": 3}', '{"train": 3}', "\xff"])
def test_damaged_texts_are_said_to_be_damaged(folder, name, text):
    (folder.path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"^Expected"):
        READERS[name](folder)


def test_a_configuration_of_a_newer_version_names_what_is_unknown(folder):
    write_json(folder.path / "config.json", {"pipeline": "single", "telepathy": True})
    with pytest.raises(ModelError, match="telepathy"):
        folder.read_config()


def test_what_is_not_there_is_said_with_what_to_do(tmp_path):
    (tmp_path / "labels.slp").write_text("")
    for path in (tmp_path / "nothing", tmp_path, tmp_path / "labels.slp"):
        for read in READERS.values():
            with pytest.raises(ModelError, match="animalpose train -o"):
                read(RunFolder(path))
        with pytest.raises(ModelError, match=r"Expected trained weights"):
            RunFolder(path).read_weights("net", [])


def test_the_log_has_every_value_under_its_name(folder):
    assert folder.read_log() == {}
    folder.append_log({"network": "a", "step": 1, "val": 2.5, "seconds": 1})
    folder.append_log({"network": "a", "step": 2, "seconds": 3})  # not validated
    folder.append_log({"network": "b", "step": 1, "seconds": 4, "new, column": "x"})
    assert folder.read_log() == {
        "network": ["a", "a", "b"],
        "step": ["1", "2", "1"],
        "val": ["2.5", "", ""],
        "seconds": ["1", "3", "4"],
        "new, column": ["", "", "x"],
    }
    lines = (folder.path / "log.csv").read_text().splitlines()
    assert lines[0] == 'network,step,val,seconds,"new, column"'
    assert len({line.count(",") for line in lines[1:]}) == 1


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert json.loads(path.read_text()) == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]


def test_versions_name_what_results_depend_on():
    found = versions()
    assert {"napari-animalpose", "tensorflow", "keras", "numpy"} <= set(found)
    assert all(found.values())
