"""Tab completes names from the API, as a shell asks for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rrdns.cli.api import completion
from tests.cli.conftest import Api, api_of
from tests.peers import peer
from tests.web.fake_admin_service import FakeAdminService


def offered(words: str, url: str, shell: str = "bash", **variables: str) -> list[str]:
    """Return what the shell is offered for the last word; nothing else may be said."""
    asked = {
        "_RRDNS_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "_TYPER_COMPLETE_ARGS": words,
        "RRDNS_URL": url,
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-m", "rrdns"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split() if shell == "bash" else done.stdout.splitlines()


@pytest.fixture
def two(two_pools: FakeAdminService) -> Iterator[Api]:
    """Serve a farm whose pools share names."""
    with api_of(two_pools) as api:
        yield api


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("rrdns drain p", ["pvs-1", "pvs-2", "pvs-3"]),
        ("rrdns drain --pool login pvs-", ["pvs-1", "pvs-2"]),
        ("rrdns drain --pool boot pvs-1 pvs-3 ", ["pvs-2"]),
        ("rrdns resume x", []),
        ("rrdns drain --pool l", ["login"]),
        ("rrdns drain --tag r", ["rack-1"]),
        ("rrdns force --pool login pvs-2", ["pvs-2"]),
        ("rrdns explain ", ["boot", "login"]),
        ("rrdns status --pool b", ["boot"]),
        ("rrdns audit --member pvs-3", ["pvs-3"]),
        ("rrdns exp", ["explain"]),
    ],
)
def test_names_are_completed(two: Api, words: str, names: list[str]) -> None:
    """Members that are named already are not offered again."""
    assert offered(words, two.url) == names


def test_a_shell_that_shows_it_is_told_the_state(api: Api) -> None:
    """Zsh and fish show a word beside each name."""
    api.farm.fall("boot", "pvs-2")
    told = " ".join(offered("rrdns drain pvs-2", api.url, shell="zsh"))
    assert "boot: down" in told.replace("\\", "")


def test_an_api_that_is_away_silent_or_strict_completes_nothing(api: Api) -> None:
    """And neither says so nor holds up the shell."""
    assert offered("rrdns drain p", "http://127.0.0.1:1") == []
    assert offered("rrdns drain p", "nonsense") == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert offered("rrdns drain p", f"http://127.0.0.1:{silent.getsockname()[1]}") == []
        assert time.monotonic() - began < completion.TIMEOUT + 6


@pytest.mark.peers
def test_bash_itself_completes(api: Api, tmp_path: Path) -> None:
    """With the script that `rrdns --show-completion` prints."""
    script = subprocess.run(
        [sys.executable, "-m", "rrdns", "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    ).stdout
    (tmp_path / "rrdns").write_text(f'#!/bin/sh\nexec {sys.executable} -m rrdns "$@"\n')
    (tmp_path / "rrdns").chmod(0o755)
    command = f"""
        PATH={tmp_path}:$PATH
        {script}
        COMP_WORDS=(rrdns drain pvs-); COMP_CWORD=2
        _rrdns_completion rrdns
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [peer("bash"), "-c", command],
        env={**os.environ, "RRDNS_URL": api.url},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.split() == ["pvs-1", "pvs-2", "pvs-3"], done
