"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np


def facts(threads: int) -> dict[str, str]:
    """Processor, cores, load, versions and BLAS, as text."""
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    return {
        "processor": _processor(),
        "cores": f"{len(os.sched_getaffinity(0))} usable, load average {os.getloadavg()[0]:.2f} at the start",
        "python": platform.python_version(),
        "numpy": f"{np.__version__}, {blas.get('name', 'BLAS')} {blas.get('version', '')}, threads of BLAS: {threads}",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
