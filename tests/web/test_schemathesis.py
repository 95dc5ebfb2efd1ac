"""schemathesis makes every call of the live API, as its description allows and as it forbids.

With each role, and with none: whatever it sends, the answers are those that are described.
The stream of events never ends, so it is left to test_watch.py.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rrdns.web.api.endpoints import ENDPOINTS
from tests.e2e.farm import BOOT_FILE, Rrdns, Tftpd
from tests.peers import wait_until

pytestmark = [pytest.mark.long, pytest.mark.peers]

HERE = Path(__file__).parent
ROLES = ("viewer", "operator", "admin")


def secret(role: str) -> str:
    """Return the token of a role."""
    return f"the-token-of-the-{role}"


@pytest.fixture(scope="module")
def rrdns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rrdns]:
    """Run rrdns with three members that are well, and a token for each role."""
    folder = tmp_path_factory.mktemp("api")
    service = Rrdns(folder, ttl=1)
    servers = [
        Tftpd(f"pvs-{number}", f"127.0.0.{200 + number}", service.tftp_port, folder)
        for number in (1, 2, 3)
    ]
    (folder / "ARDBP32.BIN").write_bytes(BOOT_FILE)
    service.members = [(server.name, server.address) for server in servers]
    service.write_config()
    tokens = "".join(
        f'[[api.tokens]]\nname = "{role}"\nrole = "{role}"\nsha256 = "'
        f'{hashlib.sha256(secret(role).encode()).hexdigest()}"\n'
        for role in ROLES
    )
    service.config.write_text(service.config.read_text() + tokens)
    with ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.stop)
        stack.callback(service.stop)
        service.start()
        wait_until(lambda: service.call("GET", "/readyz")[0] == 200, what="ready")
        yield service


@pytest.mark.parametrize("role", ["", *ROLES])
def test_every_answer_is_as_described(rrdns: Rrdns, role: str, tmp_path: Path) -> None:
    """No failure over all operations; EXAMPLES says how many of each, 12 unless set."""
    url = f"http://127.0.0.1:{rrdns.api_port}/v1/openapi.json"
    command = [str(Path(sys.executable).with_name("st")), "--config-file", str(HERE / "st.toml")]
    command += ["run", url, "--max-examples", os.environ.get("EXAMPLES", "12")]
    command += ["--exclude-path", "/v1/events", "--request-timeout", "10", "--no-color"]
    command += ["--continue-on-failure", "--seed", "5"]
    if not role:
        command += ["--exclude-checks", "ignored_auth"]  # there is none to ignore
    else:
        command += ["--header", f"Authorization: Bearer {secret(role)}"]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,  # on a busy machine it takes minutes
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.web.st_hooks",
            "PYTHONPATH": str(HERE.parents[1]),
        },
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    tested = re.search(r"Tested: +(\d+)", done.stdout)
    assert tested is not None
    assert int(tested[1]) == len(ENDPOINTS) - 2  # not the stream, nor the description that it reads
    wait_until(lambda: rrdns.call("GET", "/healthz")[0] == 200, what="alive")
    assert not [line for line in rrdns.log_lines() if line["level"] in ("error", "critical")]
