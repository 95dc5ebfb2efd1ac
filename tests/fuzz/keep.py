"""Keep of .cache/fuzz what reaches code that nothing else does: `python -m tests.fuzz.keep`.

To be run after a long run of `tests.fuzz` with atheris; libFuzzer finds the smallest set.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.__main__ import CACHE, TARGETS
from tests.fuzz.corpus import corpus, keep
from tests.fuzz.seeds import SEEDS
from tests.peers import ROOT

MAX_BYTES = 512  # longer inputs are found again soon enough, and are hard to read


def main() -> int:
    """Write the files of all targets anew."""
    for target in TARGETS:
        found = {name: data for name, data in corpus(target).items() if name[:5] == "found"}
        seeds = set(SEEDS[target]()) | set(found.items())
        reaching = _reaching(target, {data for _, data in seeds})
        keep(target, found | {f"reaches {n}": data for n, data in enumerate(reaching, 1)})
    return 0


def _reaching(target: str, known: set[bytes]) -> list[bytes]:
    """Return the inputs that reach more than those that are known anyway."""
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(known):
            Path(folder, f"known-{number}").write_bytes(data)
        command = [sys.executable, "-m", "tests.fuzz.led", target, "merge", folder]
        run = subprocess.run(
            [*command, str(CACHE / target)], cwd=ROOT, capture_output=True, check=False
        )
        if run.returncode:
            sys.stderr.write(run.stderr.decode(errors="replace")[-2000:])
        merged = {path.read_bytes() for path in Path(folder).iterdir()} - known
    return sorted(
        (data for data in merged if len(data) <= MAX_BYTES), key=lambda one: (len(one), one)
    )


if __name__ == "__main__":
    sys.exit(main())
