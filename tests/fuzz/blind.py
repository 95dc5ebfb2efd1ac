"""Fuzz one target with our own mutator: `python -m tests.fuzz.blind TARGET SECONDS FOLDER`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.fuzz.mutate import Mutator
from tests.fuzz.targets import TARGETS


def main() -> None:
    """Run until the time is up; an exception ends it, with its input on disk."""
    target, seconds, folder = sys.argv[1:]
    run = TARGETS[target]()
    mutator = Mutator(
        [path.read_bytes() for path in sorted(Path(folder).iterdir())], time.time_ns()
    )
    end, count = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        data, count = mutator.next(), count + 1
        try:
            run(data)
        except BaseException:
            Path(f"{folder}-crash-{count}").write_bytes(data)
            raise
    sys.stderr.write(f"Done {count} runs in {seconds} second(s)\n")


if __name__ == "__main__":
    main()
