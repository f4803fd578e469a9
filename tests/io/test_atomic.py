"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_animalpose.errors import OutputError
from napari_animalpose.io.atomic import as_output_error, atomic_path


def write_half_and_fail(path: Path, error: BaseException) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


def test_new_file_appears_at_the_end_with_normal_permissions(tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    old = os.umask(0o027)
    try:
        with atomic_path(path) as temporary:
            assert temporary.parent == tmp_path
            assert temporary.name.endswith("labels.pkg.slp")
            temporary.write_text("new")
            assert not path.exists()
    finally:
        os.umask(old)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o604)
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_symbolic_link_is_written_through(tmp_path: Path) -> None:
    target, link = tmp_path / "disk" / "target.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    with atomic_path(link) as temporary:
        assert temporary.parent == target.parent
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [KeyError("k"), KeyboardInterrupt(), OSError(errno.EIO, "x")])
def test_any_exception_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)):
        write_half_and_fail(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, sys; from napari_animalpose.io.atomic import atomic_path\n"
        "with atomic_path(sys.argv[1]) as p: p.write_text('half'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert done.returncode == -9
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "no permission"),
        (errno.ENOSPC, "full disk"),
        (errno.EROFS, "read-only file system"),
        (errno.ENOENT, "no such folder"),
    ],
)
def test_every_cause_has_a_sentence(number: int, words: str) -> None:
    error = as_output_error(OSError(number, os.strerror(number)), "/data/out.slp")
    assert str(error).startswith("Expected to write '/data/out.slp' into the folder '/data'; ")
    assert words in str(error)
    assert error.path == "/data/out.slp"


def test_missing_parent_and_folder_as_target(tmp_path: Path) -> None:
    for bad, words in ((tmp_path / "no" / "a.txt", "no such folder"), (tmp_path, "a folder of")):
        with pytest.raises(OutputError, match=words), atomic_path(bad):
            pytest.fail("The block must not run.")


def test_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, *_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match="no permission"), atomic_path(tmp_path / "a.txt"):
        pytest.fail("The block must not run.")


def test_write_protected_file_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="no permission"), atomic_path(path):
        pytest.fail("The block must not run.")


def test_full_disk_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="full disk"):
        write_half_and_fail(tmp_path / "a.txt", OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_hdf5_file_that_cannot_grow(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with (
            pytest.raises(OutputError, match="file-size limit"),
            atomic_path(tmp_path / "a.h5") as temporary,
            h5py.File(temporary, "w") as file,
        ):
            file["data"] = np.zeros(100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_missing_input_inside_the_block_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        (tmp_path / "input.txt").read_text()
