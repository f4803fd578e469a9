"""Write what is installed in this environment as a constraints file, without addresses."""

from __future__ import annotations

import argparse
import re
from importlib.metadata import distributions
from pathlib import Path

HEADER = """\
# The versions that the tests ran with, on Linux and Python 3.11. Use them with
#     pip install -c constraints.txt .
# Written by `make constraints`; the ranges that are allowed are in pyproject.toml.
"""
LEFT_OUT = {"napari-animalpose", "pip"}


def list_pins() -> list[str]:
    """Return `name==version` of every installed distribution, normalised and sorted.

    Local version labels (``+cpu``) are cut off: no index serves them.
    """
    pins = {
        re.sub(r"[-_.]+", "-", item.name).lower(): item.version.partition("+")[0]
        for item in distributions()
    }
    return sorted(f"{name}=={version}" for name, version in pins.items() if name not in LEFT_OUT)


def main() -> None:
    """Write the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    file.write_text(HEADER + "\n".join(list_pins()) + "\n", encoding="utf-8")
    print(f"wrote {file}")


if __name__ == "__main__":
    main()
