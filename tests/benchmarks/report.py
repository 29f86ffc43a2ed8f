"""What a run was made on, and what was asked of it."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import featx

# Names of Linux for the units that multiply vectors and matrices, the quickest first.
_UNITS = {
    "amx_int8": "AMX",
    "avx512_bf16": "AVX512-BF16",
    "avx512_vnni": "AVX512-VNNI",
    "avx512f": "AVX512",
    "avx_vnni": "AVX2-VNNI",
    "avx2": "AVX2",
}
# Both OpenVINO and TensorFlow leave out what is beyond this, so that a processor passes for a
# lesser one. What it has of its own is lost on none: float32 is as fast.
_LIMIT = "ONEDNN_MAX_CPU_ISA"
_LIMITS = {
    "AVX512_CORE_BF16": "AVX512-BF16",
    "AVX512_CORE_VNNI": "AVX512-VNNI",
    "AVX512_CORE": "AVX512",
    "AVX2_VNNI": "AVX2-VNNI",
    "AVX2": "AVX2",
}
_PACKAGES = {
    "openvino": ("openvino",),
    "keras": ("keras",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
}


@dataclass(frozen=True)
class Asked:
    """A ratio that must be at least, or at most, so large."""

    what: str
    limit: float
    got: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.got <= self.limit if self.at_most else self.got >= self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "met": self.met}

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        mark = "" if self.met else "  (missed)"
        return f"{self.what}: asked {sign} {self.limit:g}x: got {self.got:.3g}x{mark}"


def machine() -> dict[str, Any]:
    """Describe this machine and what is installed on it.

    Returns
    -------
    dict
        `cpu`, `cores`, `units` (of vectors and matrices, by name), `system` and `versions`.
    """
    try:
        facts = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        facts = ""
    lines = dict(line.split(":", 1) for line in facts.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    return {
        "cpu": fields.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "units": units_of(fields.get("flags", ""), os.environ.get(_LIMIT, "")),
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "versions": {"featx": featx.__version__, **{name: _version(name) for name in _PACKAGES}},
    }


def units_of(flags: str, limit: str) -> list[str]:
    """Name the units of a processor, the quickest first, up to what libraries may use."""
    names = list(_UNITS.values())
    known = names[names.index(_LIMITS[limit]) :] if limit in _LIMITS else names
    return [name for flag, name in _UNITS.items() if flag in flags.split() and name in known]


def _version(name: str) -> str:
    for package in _PACKAGES[name]:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def headline(about: dict[str, Any]) -> str:
    """Return two lines that say where figures come from."""
    units = ", ".join(about["units"]) or "no wide vectors known"
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{about['cpu']}, {about['cores']} cores, {units}\n{about['system']}, {versions}"
