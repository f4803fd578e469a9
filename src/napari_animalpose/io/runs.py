"""Run folders: everything that a training leaves behind, and all that prediction needs.

::

    run/
      config.json           the resolved configuration
      initial_config.json   what was asked for, before anything was chosen automatically
      skeleton.json
      split.json            (video, frame) of the training, validation and test frames
      labels.slp            the labels, as they were learned from
      versions.json         of the program and of what it stands on
      log.csv               one row a validation
      metrics.json          accuracy on the held-out frames
      NETWORK/weights.npz   one folder for each network: the best weights, for prediction
      NETWORK/state.npz     for going on: the same moment's raw weights and optimizer
      tensorboard/

A run folder is data: nothing in it is executed when it is read.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import RunConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError, ConfigError, DataError, ModelError, OutputError
from napari_animalpose.io.atomic import atomic_path

__all__ = ["RunFolder", "make_empty_folder", "read_json", "versions", "write_json"]

Split = dict[str, list[tuple[int, int]]]


def write_json(path: Path, values: Any) -> None:
    """Write plain data as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file of a run folder.

    Raises
    ------
    ModelError
        If it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            f"Expected a run folder with {path.name}; received {str(path.parent)!r}. "
            "Give the folder that `animalpose train -o` made."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"Expected JSON in {str(path)!r}; received a damaged file ({error}). "
            "Copy the run folder again."
        ) from None


def versions() -> dict[str, str]:
    """Return the versions of the program and of the packages that results depend on."""
    names = ("napari-animalpose", "tensorflow", "keras", "numpy", "scipy", "sleap-io", "av")
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def make_empty_folder(path: Path) -> None:
    """Make a folder for results.

    Raises
    ------
    OutputError
        If that is not possible, or there is something in it already.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise OutputError(
                f"Expected a new or empty folder; received {str(path)!r}, which holds "
                "files. Choose another name, or delete it first.",
                path,
            )
        probe = path / ".animalpose-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"Expected a folder that can be written; received {str(path)!r} "
            f"({error.strerror}). Choose another folder.",
            path,
        ) from None


class RunFolder:
    """One run folder by its path; reads and writes its parts.

    Parameters
    ----------
    path : path-like
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    # ---------------------------------------------------------------------- creating
    def create(self) -> None:
        """Make the folder; see `make_empty_folder`."""
        make_empty_folder(self.path)

    @contextmanager
    def remove_if_useless(self) -> Iterator[None]:
        """Delete the folder again if the work inside is cancelled or fails without weights."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, CancelledError) or not self.trained():
                shutil.rmtree(self.path, ignore_errors=True)
            raise

    # ------------------------------------------------------------------------- parts
    def write_config(self, config: RunConfig, name: str = "config.json") -> None:
        """Write the configuration."""
        write_json(self.path / name, config.to_dict())

    def read_config(self) -> RunConfig:
        """Read the resolved configuration.

        Raises
        ------
        ModelError
            If the folder holds none, or one that this version does not know.
        """
        values = read_json(self.path / "config.json")
        try:
            return RunConfig.from_dict(values)
        except (ConfigError, AttributeError, TypeError) as error:
            raise ModelError(
                f"Expected the configuration of a run in {str(self.path)!r}; {error}"
            ) from None

    def write_skeleton(self, skeleton: Skeleton) -> None:
        """Write the body plan."""
        values = {
            "name": skeleton.name,
            "nodes": list(skeleton.nodes),
            "edges": [list(edge) for edge in skeleton.edges],
            "symmetries": [list(pair) for pair in skeleton.symmetries],
        }
        write_json(self.path / "skeleton.json", values)

    def read_skeleton(self) -> Skeleton:
        """Read the body plan.

        Raises
        ------
        ModelError
            If it is missing or damaged.
        """
        values = read_json(self.path / "skeleton.json")
        try:
            return Skeleton(
                tuple(values["nodes"]),
                tuple((a, b) for a, b in values["edges"]),
                tuple((a, b) for a, b in values["symmetries"]),
                values["name"],
            )
        except (KeyError, TypeError, ValueError, DataError) as error:
            raise ModelError(
                f"Expected a skeleton in {str(self.path / 'skeleton.json')!r}; received a damaged "
                f"file ({error}). Copy the run folder again."
            ) from None

    def write_split(self, split: Split) -> None:
        """Write which frames were used for what."""
        write_json(self.path / "split.json", split)

    def read_split(self) -> Split:
        """Read which (video, frame) were used for ``train``, ``validation`` and ``test``.

        Raises
        ------
        ModelError
            If it is missing or damaged.
        """
        path = self.path / "split.json"
        values = read_json(path)
        try:
            return {name: [(int(v), int(f)) for v, f in pairs] for name, pairs in values.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelError(
                f"Expected the frames of a split in {str(path)!r}; received a damaged file "
                f"({error}). Copy the run folder again."
            ) from None

    def write_weights(self, network: str, weights: Sequence[NDArray[Any]]) -> None:
        """Write the best weights of a network, in the order that Keras lists them."""
        path = self.path / network / "weights.npz"
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            _save_arrays(file, {f"w{i:04d}": weight for i, weight in enumerate(weights)})

    def read_weights(self, network: str, shapes: Sequence[tuple[int, ...]]) -> list[NDArray[Any]]:
        """Read the best weights of a network and check them against the expected shapes.

        Raises
        ------
        ModelError
            If they are missing, damaged or of another network.
        """
        weights = self._read_arrays(self.path / network / "weights.npz")
        if [w.shape for w in weights] != [tuple(shape) for shape in shapes]:
            raise ModelError(
                f"Expected weights for the network that config.json describes in "
                f"{str(self.path)!r}; received those of another one. Copy the run folder again."
            )
        return weights

    def trained(self) -> list[str]:
        """Return the names of the networks that have weights."""
        return sorted(path.parent.name for path in self.path.glob("*/weights.npz"))

    def untrained(self) -> list[str]:
        """Return the names of the networks that the configuration has and that lack weights.

        Raises
        ------
        ModelError
            If the folder holds no configuration.
        """
        trained = self.trained()
        return [name for name in self.read_config().networks if name not in trained]

    def copy_network(self, other: RunFolder, network: str) -> None:
        """Copy weights and state of a network from another folder, each whole or not at all."""
        (self.path / network).mkdir(exist_ok=True)
        for name in ("weights.npz", "state.npz"):
            with atomic_path(self.path / network / name) as temporary:
                shutil.copyfile(other.path / network / name, temporary)

    def write_state(
        self, network: str, raw: Sequence[NDArray[Any]], optimizer: Sequence[NDArray[Any]]
    ) -> None:
        """Write what going on with the training of a network needs."""
        path = self.path / network / "state.npz"
        path.parent.mkdir(exist_ok=True)
        named = {f"w{i:04d}": value for i, value in enumerate(raw)}
        named |= {f"x{i:04d}": value for i, value in enumerate(optimizer)}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            _save_arrays(file, named)

    def read_state(self, network: str) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Read weights and optimizer variables as `write_state` was given them.

        Raises
        ------
        ModelError
            If they are missing or damaged.
        """
        path = self.path / network / "state.npz"
        return self._read_arrays(path, "w"), self._read_arrays(path, "x")

    def _read_arrays(self, path: Path, prefix: str = "w") -> list[NDArray[Any]]:
        try:
            # Opened here, because numpy leaves a damaged archive open.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                return [file[key] for key in sorted(file.files) if key.startswith(prefix)]
        except (FileNotFoundError, NotADirectoryError):
            raise ModelError(
                f"Expected trained weights in {str(path)!r}; received no such file. "
                "Was the training stopped before its first validation?"
            ) from None
        except (OSError, TypeError, ValueError, EOFError, BadZipFile) as error:
            raise ModelError(
                f"Expected trained weights in {str(path)!r}; received a damaged file ({error}). "
                "Copy the run folder again."
            ) from None

    def append_log(self, row: Mapping[str, float | str]) -> None:
        """Add a row to the log; what it or the rows before do not have stays empty."""
        columns: dict[str, list[Any]] = dict(self.read_log())
        n_rows = max((len(values) for values in columns.values()), default=0)
        for name in row:
            columns.setdefault(name, [""] * n_rows)
        for name, values in columns.items():
            values.append(row.get(name, ""))
        # Whole and not at its end: a new column changes all rows, and a full disk none.
        with (
            atomic_path(self.path / "log.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))

    def read_log(self) -> dict[str, list[str]]:
        """Read the log as columns of text, "" where a row has no such value; {} without one."""
        path = self.path / "log.csv"
        if not path.exists():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
        return {name: [row[name] for row in rows] for name in reader.fieldnames or ()}


def _save_arrays(file: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    np.savez(file, allow_pickle=False, **arrays)
