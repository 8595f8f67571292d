"""Run the benchmarks: all of them, or those named.

python -m benchmarks [rating] [decode] [posting] [rest_bulk] [backdating] [singles] [reading]
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module

NAMES = ("rating", "decode", "posting", "rest_bulk", "backdating", "singles", "reading")


def main(names: list[str]) -> None:
    """Run the benchmarks named, each in this process, one after the other."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise SystemExit(
            f"No benchmark is called {', '.join(unknown)}. There are: {', '.join(NAMES)}."
        )
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, load {load} before the start.")
    print("Each figure is the median of five, in brackets the least and the most.", flush=True)
    for name in names or NAMES:
        print(flush=True)
        import_module(f"benchmarks.bench_{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
