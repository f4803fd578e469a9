"""Refuse committed files that do not belong in a repository.

Large files (recordings live outside it), paths that exist on one machine only, and
addresses of package indexes (a lock file would carry them).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

MAX_BYTES = 1_000_000
# The character classes keep the patterns from matching themselves.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.$}>-])/(?:[w]ork|[r]oot|[h]ome|[U]sers)/\w"),
    "the address of a package index": re.compile(r"[p]ypi\.org|[p]ythonhosted\.org"),
}


def list_files() -> list[Path]:
    """Return the regular files that git tracks, or would track, in this folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    paths = (Path(name) for name in output.split("\0") if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def find_faults(path: Path) -> list[str]:
    """Return one line for each thing wrong with a file."""
    faults = []
    if path.stat().st_size > MAX_BYTES:
        faults.append(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:  # a picture: its size is all that is checked
        return faults
    for number, line in enumerate(lines, start=1):
        faults += [
            f"{path}:{number}: {what}: {line.strip()[:80]}"
            for what, pattern in FORBIDDEN.items()
            if pattern.search(line)
        ]
    return faults


def main() -> int:
    """Print all faults; return 1 if there are any."""
    faults = [fault for path in list_files() for fault in find_faults(path)]
    print("\n".join(faults) or "No file that does not belong here.")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
