"""Fuzz one target with atheris: `python -m tests.fuzz.led TARGET SECONDS FOLDER`.

With `merge` for the seconds, inputs of the second folder that reach more are put in the first.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["rrdns"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.__main__ import MAX_BYTES, MEMORY_MB


def main() -> None:
    """Hand over to libFuzzer, which ends the process."""
    target, what, *rest = sys.argv[1:]
    # For a merge libFuzzer runs its own command line again, with options of its own.
    again = f"{sys.executable} -m tests.fuzz.led {target} {what}"
    if not rest[0].startswith("-"):
        rest = [
            "-merge=1" if what == "merge" else f"-max_total_time={what}",
            f"-max_len={MAX_BYTES}",
            f"-rss_limit_mb={MEMORY_MB}",
            "-timeout=5",  # seconds that one input may take
            f"-artifact_prefix={rest[0]}-",
            *rest,
        ]
    atheris.Setup([again, *rest], TARGETS[target]())
    atheris.Fuzz()


if __name__ == "__main__":
    main()
