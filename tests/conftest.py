"""What all tests share: real recordings, hypothesis profiles, importable helpers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# `strategies` and `job_functions` are imported by tests, the latter by child processes too.
sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,  # shared machines stall; time is measured in benchmarks/
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real recordings; skip where the environment names none."""
    named = os.environ.get("ANIMALPOSE_REAL_DATA")
    if not named:
        pytest.skip("ANIMALPOSE_REAL_DATA names no folder of real recordings.")
    folder = Path(named).resolve()
    if not folder.is_dir():
        pytest.fail(f"Expected ANIMALPOSE_REAL_DATA to be a folder; received {named!r}.")
    return folder
