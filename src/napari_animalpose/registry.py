"""Named collections of interchangeable parts: architectures, heads, formats, trackers.

Adding a part is one new file and one `register` call. Command-line choices, combo
boxes, documentation tables and conformance tests all iterate `Registry.names`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Generic, TypeVar, cast

from napari_animalpose.errors import ConfigError

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from names to parts, where a part may be named before it is imported.

    Parameters
    ----------
    kind : str
        What the parts are, in the singular, for error messages ("architecture").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._targets: dict[str, T | str] = {}

    def register(self, name: str, target: T | str | None = None) -> Callable[[T], T]:
        """Add a part under a name, as a call or as a decorator.

        Parameters
        ----------
        name : str
            The name users type.
        target : object or str, optional
            The part itself, or ``"module:attribute"``, which is imported on first use
            so that listing names stays free of heavy imports. Left out when used as a
            decorator.

        Raises
        ------
        ValueError
            If the name is taken: two parts of one name would hide each other.
        """

        def add(part: T) -> T:
            self._add(name, part)
            return part

        if target is not None:
            self._add(name, target)
        return add

    def _add(self, name: str, target: T | str) -> None:
        if name in self._targets:
            raise ValueError(f"Expected a new {self.kind} name; received {name!r}, which is taken.")
        self._targets[name] = target

    def get(self, name: str) -> T:
        """Return the part called `name`, importing it if it was named by a string.

        Raises
        ------
        ConfigError
            If nothing is registered under that name; the message lists what is.
        """
        try:
            target = self._targets[name]
        except KeyError:
            known = ", ".join(self.names())
            raise ConfigError(
                f"Expected the name of a known {self.kind} ({known}); received {name!r}."
            ) from None
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            target = cast("T", getattr(import_module(module), attribute))
            self._targets[name] = target
        return target

    def names(self) -> tuple[str, ...]:
        """Return all names in order of registration."""
        return tuple(self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)
