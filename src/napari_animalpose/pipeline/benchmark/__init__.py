"""Sweeps: how accurate and how fast the pipelines are while one thing varies.

`SWEEPS` names what can vary, `run_sweep` trains and measures one point after the other,
each in a process of its own, and keeps every finished point in a folder: started again it
does what is missing.
"""

from __future__ import annotations

from napari_animalpose.pipeline.benchmark.runner import SweepResult, run_sweep
from napari_animalpose.pipeline.benchmark.sweeps import SWEEPS, SweepOptions

__all__ = ["SWEEPS", "SweepOptions", "SweepResult", "run_sweep"]
