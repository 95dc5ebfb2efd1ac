"""Fuzz: `python -m tests.fuzz [--seconds 20] [target ...]`; `make fuzz` in short.

With atheris (libFuzzer, led by coverage) where it is installed, with our own mutator
elsewhere. Each target runs in a process of its own, as many at once as there are cores.
What was found interesting is kept in .cache/fuzz for the next run; what broke something is
printed as the line that tests/corpus wants.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.corpus import line_for, path_of
from tests.fuzz.seeds import inputs
from tests.peers import ROOT

CACHE = ROOT / ".cache" / "fuzz"
TARGETS = ("dns", "tftp", "config", "bodies", "reply")
MAX_BYTES = 4096
SPARE = 60  # seconds that starting and stopping may take
MEMORY_MB = 1024


def main() -> int:
    """Fuzz the targets that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("targets", nargs="*", default=TARGETS)
    asked = parser.parse_args()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(lambda target: _fuzz(target, asked.seconds), asked.targets)
        return max(list(done), default=0)


def _fuzz(target: str, seconds: int) -> int:
    began = time.monotonic()
    led = importlib.util.find_spec("atheris") is not None
    module = "tests.fuzz.led" if led else "tests.fuzz.blind"
    folder = CACHE / target
    _unpack(target, folder)
    crashes = sorted(folder.parent.glob(f"{target}-crash-*"))
    for crash in crashes:
        crash.unlink()
    run = subprocess.run(
        [sys.executable, "-m", module, target, str(seconds), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + SPARE,
        check=False,
    )
    how = "led by coverage" if led else "without atheris: not led by coverage"
    _say(f"{target}: {_summary(run.stderr)} in {time.monotonic() - began:.0f} s, {how}")
    if run.returncode:
        _say(run.stdout[-3000:] + run.stderr[-2000:])
        for crash in sorted(folder.parent.glob(f"{target}-crash-*")):
            _say(f"add to {path_of(target).relative_to(ROOT)}:")
            _say(line_for(f"found {time.strftime('%Y-%m-%d')}, WHY", crash.read_bytes()))
    return int(run.returncode != 0)


def _unpack(target: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs(target).values()):
        (folder / f"kept-{number}").write_bytes(data)


def _summary(output: str) -> str:
    """Return libFuzzer's (or our own) word on how much was run."""
    lines = [line for line in output.splitlines() if line.startswith("Done ")]
    return lines[-1].split(" in ")[0] if lines else "broken off"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
