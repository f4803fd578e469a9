"""The folder of a sweep: every finished point in a file of its own, and tables of them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_animalpose.errors import DataError, OutputError
from napari_animalpose.io.atomic import as_output_error, atomic_path
from napari_animalpose.io.runs import make_empty_folder, write_json
from napari_animalpose.pipeline.benchmark.point import Point

__all__ = ["ResultsFolder"]


class ResultsFolder:
    """Finished points by their keys.

    ::

        folder/
          points/KEY.json   settings, environment and figures of a point
          runs/KEY/         its run folder, where these are kept
          SWEEP.csv, SWEEP.png

    Parameters
    ----------
    path : Path

    Raises
    ------
    OutputError
        If it cannot be made or written, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / "points").is_dir():
            make_empty_folder(path)
            try:
                (path / "points").mkdir()
            except OSError as error:
                raise as_output_error(error, path / "points") from error

    def _file(self, point: Point) -> Path:
        return self.path / "points" / f"{point.key}.json"

    def read(self, point: Point) -> dict[str, Any] | None:
        """Return the figures of a point and its ``environment``; None if it is not finished.

        Raises
        ------
        DataError
            If its file is damaged or was changed.
        """
        path = self._file(point)
        if not path.exists():
            return None
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            same = json.dumps(values["settings"], sort_keys=True) == json.dumps(
                point.settings, sort_keys=True
            )
            figures = {**values["figures"], "environment": values["environment"]}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"Expected a finished point in {str(path)!r}; received a damaged file ({error}). "
                "Delete it to measure the point again."
            ) from None
        if not same:
            raise DataError(
                f"Expected the point that {path.name!r} names in {str(path)!r}; received that of "
                "other settings. Delete the file to measure the point again."
            )
        return figures

    def write(self, point: Point, figures: Mapping[str, Any], environment: Any) -> None:
        """Keep a finished point, whole or not at all."""
        values = {"settings": point.settings, "environment": environment, "figures": figures}
        write_json(self._file(point), values)

    def run_folder(self, point: Point) -> Path:
        """Return where the run of a point is made; what an interruption left there is deleted.

        Raises
        ------
        OutputError
            If that cannot be deleted.
        """
        path = self.path / "runs" / point.key
        self.remove_run(point)
        path.parent.mkdir(exist_ok=True)
        return path

    def remove_run(self, point: Point) -> None:
        """Delete the run folder of a point, if there is one."""
        path = self.path / "runs" / point.key
        try:
            if path.exists():
                shutil.rmtree(path)
            with suppress(OSError):  # the last one takes the folder with it
                path.parent.rmdir()
        except OSError as error:
            raise OutputError(
                f"Expected to delete the run folder {str(path)!r}; received {error.strerror}. "
                "Delete it by hand.",
                path,
            ) from error

    def write_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Write rows with equal keys as ``NAME.csv``; None is an empty field."""
        path = self.path / f"{name}.csv"
        with (
            atomic_path(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path
