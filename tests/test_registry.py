"""The registry: order, late import, refusals."""

from __future__ import annotations

import pytest

from napari_animalpose.errors import ConfigError
from napari_animalpose.registry import Registry


def test_call_and_decorator_register_in_order():
    parts: Registry[object] = Registry("part")
    parts.register("second letter", "b")

    @parts.register("function")
    def function():
        return 1

    assert parts.names() == tuple(parts) == ("second letter", "function")
    assert len(parts) == 2
    assert "function" in parts
    assert "nothing" not in parts
    assert parts.get("function") is function


def test_strings_are_imported_on_first_use():
    parts: Registry[type] = Registry("number")
    parts.register("fraction", "fractions:Fraction")
    parts.register("broken", "no_such_module_anywhere:Thing")
    fraction = parts.get("fraction")
    assert fraction(1, 2) * 2 == 1
    assert parts.get("fraction") is fraction
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        parts.get("broken")


def test_a_taken_name_is_refused_and_keeps_its_part():
    parts: Registry[int] = Registry("part")
    parts.register("one", 1)
    with pytest.raises(ValueError, match="new part name; received 'one'"):
        parts.register("one", 2)
    assert parts.get("one") == 1


def test_an_unknown_name_lists_the_known():
    parts: Registry[int] = Registry("part")
    parts.register("one", 1)
    parts.register("two", 2)
    with pytest.raises(ConfigError, match=r"known part \(one, two\); received 'three'"):
        parts.get("three")
