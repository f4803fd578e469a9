"""A training that happens elsewhere: out in one file, back in one file."""

from __future__ import annotations

import gc
import json
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_animalpose.config import RunConfig, override
from napari_animalpose.errors import (
    AnimalPoseError,
    CancelledError,
    ConfigError,
    DataError,
    ModelError,
    OutputError,
)
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.slp_images import embedded_frames
from napari_animalpose.jobs import Progress, StopRequest
from napari_animalpose.pipeline import choose, load_predictor, predict, read, train
from napari_animalpose.pipeline.packaging import (
    describe_package,
    is_run_zip,
    open_run,
    package,
    read_packaged_config,
    unzip_run,
    zip_run,
)
from napari_animalpose.pipeline.start import open_start


@pytest.fixture(scope="module")
def packed(
    tiny_labels: Path, tiny_overrides: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A package of the tiny labels with the configuration of the tiny network."""
    out = tmp_path_factory.mktemp("packed") / "package.zip"
    package(tiny_labels, out, overrides=[*tiny_overrides, "train.seed=3"])
    return out


@pytest.fixture(scope="module")
def zipped(tiny_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of the tiny run."""
    return zip_run(tiny_run.path, tmp_path_factory.mktemp("zipped") / "run.zip")


# --------------------------------------------------------------------------------- packing
def test_a_package_holds_labels_and_their_images(tiny_labels: Path, packed: Path) -> None:
    project, again = read(tiny_labels), read(packed)
    assert again.poses == project.poses
    assert embedded_frames(again.videos[0]).tolist() == list(range(0, 24, 2))
    for frame in range(0, 24, 2):
        np.testing.assert_array_equal(again.videos[0][frame], project.videos[0][frame])


def test_the_configuration_is_chosen_with_reasons(tiny_labels: Path, tmp_path: Path) -> None:
    events: list[Any] = []
    done = package(tiny_labels, tmp_path / "p.zip", preset="fast", on_event=events.append)
    choice = choose(tiny_labels, preset="fast")
    assert done.config == choice.config == read_packaged_config(done.path)
    assert done.reasons == choice.reasons
    assert describe_package(done.path)["reasons"] == list(choice.reasons)
    assert events == [Progress("package", i, 12) for i in range(13)]
    assert (done.n_labelled_frames, done.n_images) == (12, 12)
    assert done.n_bytes == (tmp_path / "p.zip").stat().st_size


def test_a_configuration_can_be_given(tiny_labels: Path, tmp_path: Path) -> None:
    config = override(choose(tiny_labels).config, ["train.epochs=7"])
    done = package(tiny_labels, tmp_path / "p.zip", config, overrides=["train.batch_size=2"])
    assert done.reasons == ()
    assert read_packaged_config(done.path) == override(config, ["train.batch_size=2"])
    with pytest.raises(ConfigError, match="Expected the networks"):
        package(tiny_labels, tmp_path / "q.zip", config.replace(pipeline="topdown"))
    assert not (tmp_path / "q.zip").exists()


def test_only_what_was_asked_for_is_given_away(tiny_labels: Path, tmp_path: Path) -> None:
    project = read(tiny_labels).replace(
        negative_frames=[(0, 1), (0, 21)], suggestions=[(0, 5), (0, 2)]
    )
    few = package(project, tmp_path / "few.zip", frames="0-4")
    assert (few.n_labelled_frames, few.n_empty_frames, few.n_suggested_frames) == (3, 1, 0)
    again = read(tmp_path / "few.zip")
    assert embedded_frames(again.videos[0]).tolist() == [0, 1, 2, 4]
    assert again.negative_frames.tolist() == [[0, 1]]
    assert again.suggestions.tolist() == []
    many = package(project, tmp_path / "many.zip", frames="0-4", with_suggestions=True)
    assert many.n_images == 5  # frame 2 is labelled and suggested
    again = read(tmp_path / "many.zip")
    assert embedded_frames(again.videos[0]).tolist() == [0, 1, 2, 4, 5]
    assert again.suggestions.tolist() == [[0, 5], [0, 2]]


def test_a_package_of_a_package(packed: Path, tmp_path: Path) -> None:
    project = read(packed).replace(suggestions=[(0, 3), (0, 4)])  # no image of frame 3
    done = package(project, tmp_path / "p.zip", frames="0-9", with_suggestions=True)
    assert (done.n_labelled_frames, done.n_suggested_frames, done.n_images) == (5, 1, 5)
    again = read(done.path)
    np.testing.assert_array_equal(again.videos[0][8], project.videos[0][8])


def test_stopping_leaves_nothing(tiny_labels: Path, tmp_path: Path) -> None:
    for request in (StopRequest.STOP_EARLY, StopRequest.CANCEL):
        with pytest.raises(CancelledError, match="nothing was kept"):
            package(tiny_labels, tmp_path / "p.zip", should_stop=lambda r=request: r)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_packed_is_refused(tiny_labels: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"ends with \.zip; received 'p.pkg.slp'"):
        package(tiny_labels, "p.pkg.slp")
    with pytest.raises(OutputError, match="no such folder"):
        package(tiny_labels, tmp_path / "nowhere" / "p.zip")
    project = read(tiny_labels)
    with pytest.raises(DataError, match="Expected labelled points to learn from"):
        package(project.with_poses(project.poses.select(np.zeros(12, bool))), tmp_path / "p.zip")
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------- training
def test_training_on_a_package_is_training_on_its_labels(
    packed: Path, tiny_labels: Path, tiny_run: Any, tmp_path: Path
) -> None:
    there = train(packed, tmp_path / "there")
    assert there.config == tiny_run.config == read_packaged_config(packed)
    folders = RunFolder(there.path), RunFolder(tiny_run.path)
    assert folders[0].read_split() == folders[1].read_split()
    # The same pixels, so the same losses, whichever file they came from.
    losses = [[float(x) for x in folder.read_log()["loss"]] for folder in folders]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)

    moved = tmp_path / "home" / "run"  # its labels are complete wherever the folder goes
    moved.parent.mkdir()
    shutil.move(there.path, moved)
    for name in ("labels.slp", "predictions.validation.slp"):
        kept = read_labels(moved / name)
        assert kept.videos[0].source == f"{moved / 'labels.pkg.slp'}::video0/video"
        np.testing.assert_array_equal(kept.videos[0][4], read(tiny_labels).videos[0][4])
    with_images, without = tmp_path / "with.zip", tmp_path / "without.zip"
    zip_run(moved, with_images)
    zip_run(moved, without, images=False)
    names = [set(zipfile.ZipFile(path).namelist()) for path in (with_images, without)]
    assert {name.partition("/")[2] for name in names[0]} - {
        name.partition("/")[2] for name in names[1]
    } == {"labels.pkg.slp"}


def test_other_choices_win_over_the_package(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `train` settles on, looked at before anything is trained."""
    packaged = read_packaged_config(packed)

    class SettledError(Exception):
        pass

    def settle(config: RunConfig) -> None:
        raise SettledError(config)

    monkeypatch.setattr("napari_animalpose.pipeline.training.check_config", settle)

    def settled(**choices: Any) -> RunConfig:
        with pytest.raises(SettledError) as caught:
            train(packed, tmp_path / "run", **choices)
        return caught.value.args[0]

    assert settled() == packaged
    assert settled(seed=5, overrides=["train.epochs=9"]) == override(
        packaged, ["train.epochs=9", "train.seed=5"]
    )
    given = override(packaged, ["train.epochs=4"])
    assert settled(config=given) == given
    assert settled(preset="fast") == choose(packed, preset="fast").config
    assert settled(preset="balanced") == choose(packed).config != packaged
    assert settled(pipeline="bottomup") == choose(packed, pipeline="bottomup").config


# ------------------------------------------------------------------------------- coming back
def test_a_zip_of_a_run_is_as_good_as_the_folder(
    tiny_run: Any, zipped: Path, tiny_labels: Path
) -> None:
    assert is_run_zip(zipped)
    assert not is_run_zip(tiny_run.path)
    video = read(tiny_labels).videos[0]
    folder = load_predictor(tiny_run.path).predict(video, frames=range(4))
    assert load_predictor(zipped).predict(video, frames=range(4)) == folder
    by_split = predict(tiny_labels, zipped, split="validation")
    assert by_split.poses == predict(tiny_labels, tiny_run.path, split="validation").poses


@pytest.mark.slow
def test_training_goes_on_from_a_zip(
    zipped: Path, tiny_run: Any, tiny_labels: Path, tmp_path: Path
) -> None:
    run = train(tiny_labels, tmp_path / "next", resume=zipped, overrides=["train.epochs=1"])
    from_folder = train(
        tiny_labels, tmp_path / "same", resume=tiny_run.path, overrides=["train.epochs=1"]
    )
    assert run.config == from_folder.config
    assert run.config.networks == tiny_run.config.networks
    logs = [RunFolder(each.path).read_log()["loss"] for each in (run, from_folder)]
    losses = [[float(text) for text in log if text] for log in logs]
    assert losses[0]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    start = open_start(zipped)
    assert start.folder.read_skeleton() == read(tiny_labels).skeleton


def test_what_was_unpacked_goes_with_the_object(zipped: Path, tiny_run: Any) -> None:
    run = open_run(zipped)
    folder = run.path
    assert run.read_config() == tiny_run.config
    assert {path.name for path in folder.rglob("*") if path.is_file()} >= {
        "config.json", "skeleton.json", "split.json", "log.csv", "weights.npz", "state.npz",
    }  # fmt: skip
    assert not (folder / "tensorboard").exists()
    del run
    gc.collect()
    assert not folder.exists()


def test_unzipping_gives_the_folder_back(zipped: Path, tiny_run: Any, tmp_path: Path) -> None:
    out = unzip_run(zipped, tmp_path / "again")

    def contents(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    assert contents(out) == contents(tiny_run.path)
    with pytest.raises(OutputError, match="Expected a new or empty folder"):
        unzip_run(zipped, out)
    assert contents(out) == contents(tiny_run.path)


def test_zipping_beside_the_folder_and_telling_how_far(tiny_run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "flies"
    shutil.copytree(tiny_run.path, folder)
    (folder / ".hidden").write_text("x")
    (folder / "link").symlink_to("/etc/passwd")
    seen: list[tuple[int, int]] = []
    path = zip_run(folder, on_progress=lambda *state: seen.append(state))
    assert path == tmp_path / "flies.zip"
    assert seen[-1][0] == seen[-1][1] == max(done for done, _ in seen)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert all(name.startswith("flies/") for name in names)
    assert not {"flies/.hidden", "flies/link"} & set(names)


def test_a_folder_without_networks_is_not_zipped(tiny_run: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Expected a run folder with config\.json"):
        zip_run(tmp_path)
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "skeleton.json"):
        shutil.copy(tiny_run.path / name, bare)
    with pytest.raises(ModelError, match="Expected trained networks"):
        zip_run(bare)
    assert [path.name for path in tmp_path.iterdir()] == ["bare"]


# ------------------------------------------------------------------------------- evil zips
def spoil(zipped: Path, target: Path, **extra: Any) -> Path:
    """Copy a zip of a run with one more member."""
    shutil.copy(zipped, target)
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(extra["name"])
        member.external_attr = extra.get("mode", 0o644) << 16
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, extra.get("data", b"x"))
    return target


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"name": "run/../../evil"}, "points outside of its folder"),
        ({"name": "/evil"}, "points outside of its folder"),
        ({"name": "run\\..\\..\\evil"}, "points outside of its folder"),
        ({"name": "run/net", "mode": stat.S_IFLNK | 0o777}, "is a link"),
        ({"name": "run/bomb", "data": bytes(64 << 20)}, "unpacks to 64 MB"),
    ],
)
def test_suspicious_zips_are_refused(
    zipped: Path, tmp_path: Path, extra: dict[str, Any], message: str
) -> None:
    evil = spoil(zipped, tmp_path / "evil.zip", **extra)
    for use in (load_predictor, open_start, lambda path: unzip_run(path, tmp_path / "out")):
        with pytest.raises(AnimalPoseError, match=message) as caught:
            use(evil)
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["evil.zip"]


def test_a_bomb_in_the_weights_is_refused(zipped: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(zipped) as old, zipfile.ZipFile(evil, "w") as new:
        for name in old.namelist():
            if name.endswith("weights.npz"):
                np.savez_compressed(tmp_path / "w.npz", w0000=np.zeros(16 << 20, np.float32))
                new.write(tmp_path / "w.npz", name)
            else:
                new.writestr(name, old.read(name))
    with pytest.raises(ModelError, match=r"'w0000.npy' unpacks to 64 MB"):
        load_predictor(evil)


def test_damaged_zips_are_told(zipped: Path, tmp_path: Path) -> None:
    whole = zipped.read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    assert not is_run_zip(cut)
    with pytest.raises(ModelError, match="damaged"):
        load_predictor(cut)
    twice = spoil(zipped, tmp_path / "twice.zip", name="run/./config.json")
    with pytest.raises(ModelError, match="Expected every name once"):
        load_predictor(twice)
    flipped = tmp_path / "flipped.zip"
    flipped.write_bytes(whole.replace(b"NUMPY\x01", b"NUMPY\x02"))
    with pytest.raises(ModelError, match=r"Expected a readable .*CRC"):
        load_predictor(flipped)


def test_a_package_is_no_model(packed: Path) -> None:
    for use in (load_predictor, open_start):
        with pytest.raises(ModelError, match=r"received a training package.*animalpose train"):
            use(packed)


def test_labels_with_images_are_written_by_their_name(tiny_labels: Path, tmp_path: Path) -> None:
    project = read(tiny_labels)
    write_labels(project, tmp_path / "x.pkg.slp")
    assert embedded_frames(read(tmp_path / "x.pkg.slp").videos[0]).tolist() == list(range(0, 24, 2))


def test_the_contents_are_plain_json(packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        for name in ("package.json", "config.json"):
            assert isinstance(json.loads(archive.read(name)), dict)
