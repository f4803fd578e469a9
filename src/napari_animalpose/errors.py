"""Errors that a user can cause, each with one sentence that says what to do.

Every message has the form ``Expected ...; received ...`` followed by the remedy.
The command line prints the message alone and exits with code 2; the window shows it
as a notification. Programming errors stay ordinary Python exceptions.
"""

from __future__ import annotations

from os import PathLike, fspath

__all__ = [
    "AnimalPoseError",
    "CancelledError",
    "ConfigError",
    "DataError",
    "FileFormatError",
    "JobError",
    "ModelError",
    "OutputError",
    "VideoError",
]


class AnimalPoseError(ValueError):
    """Base of all errors with a message meant for the user."""


class DataError(AnimalPoseError):
    """Poses, skeletons or labels that cannot be used for what was asked."""


class ConfigError(AnimalPoseError):
    """A configuration value or key that is not allowed."""


class ModelError(AnimalPoseError):
    """A model folder that is missing, damaged or made for other data."""


class _PathError(AnimalPoseError):
    """An error about one file, which it keeps in `path`."""

    def __init__(self, message: str, path: str | PathLike[str]) -> None:
        super().__init__(message)
        self.path = fspath(path)

    def __reduce__(self) -> tuple[type[_PathError], tuple[str, str]]:
        return type(self), (str(self), self.path)  # so that it survives pickling


class FileFormatError(_PathError):
    """A label file that is missing, damaged or of an unknown format."""


class VideoError(_PathError):
    """A video that is missing, moved, truncated, empty or of an unknown format."""


class OutputError(_PathError):
    """A result that cannot be written: no permission, no space, not a folder."""


class JobError(AnimalPoseError):
    """Work in a child process that failed; `kind` is the class of what went wrong.

    `traceback` holds the child's traceback or its last lines of output, for reports.
    """

    def __init__(self, message: str, kind: str = "", traceback: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.traceback = traceback

    def __reduce__(self) -> tuple[type[JobError], tuple[str, str, str]]:
        return type(self), (str(self), self.kind, self.traceback)


class CancelledError(Exception):
    """Raised inside a pipeline function after the user asked it to stop."""
