"""What a running service may do, and what it tells: nothing of root's, and no secret."""

from __future__ import annotations

import hashlib
import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rrdns.service.processes.launch import MAX_DESCRIPTORS
from tests.e2e.farm import Rrdns
from tests.peers import need_root, peer, wait_until

SECRET, WRONG = "the-token-of-ops", "a-guess-at-it"
TOKEN = f"""
[[api.tokens]]
name = "ops"
role = "operator"
sha256 = "{hashlib.sha256(SECRET.encode()).hexdigest()}"
"""
NONE = "0000000000000000"


class Started(Rrdns):
    """rrdns as another program starts it."""

    before: Sequence[str] = ()

    def start(self) -> None:
        """Start rrdns, and wait until it answers."""
        command = [*self.before, sys.executable, "-m", "rrdns", "serve", "--config"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, what=f"answering: {self.log}")


@contextmanager
def serving(
    folder: Path, more: str = "", before: Sequence[str] = (), port: int = 0
) -> Iterator[Rrdns]:
    """Run rrdns with more in its config, behind another program."""
    rrdns = Started(folder, members=[("pvs-1", "127.0.0.21")])
    rrdns.before = before
    rrdns.dns_port = port or rrdns.dns_port
    state = folder / "state"
    state.mkdir(mode=0o755)
    if "[process]" in more:
        shutil.chown(state, "nobody")
    rrdns.write_config(store={"path": state / "rrdns.db"})
    rrdns.config.write_text(rrdns.config.read_text() + more)
    try:
        rrdns.start()
        yield rrdns
    finally:
        rrdns.stop()


def status(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: " ".join(rest.split()) for name, _, rest in (one.partition(":") for one in lines)}


def everyone(rrdns: Rrdns) -> dict[str, dict[str, str]]:
    """Return the status of each process of rrdns."""
    assert rrdns.process is not None
    pids = {"supervisor": rrdns.process.pid, **rrdns.pids()}
    return {name: status(pid) for name, pid in pids.items()}


def is_whole(rrdns: Rrdns) -> bool:
    """Tell whether no process of rrdns is missing."""
    with suppress(ValueError):
        return len(rrdns.pids()) == rrdns.workers + 1
    return False


def low_port() -> int:
    """Return a port of UDP and TCP that only who has the right may bind."""
    for port in range(1023, 600, -1):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                for sock in (tcp, udp):
                    sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("no low port is free")


def test_root_becomes_the_user_of_the_config_and_keeps_nothing(open_folder: Path) -> None:
    """No user id, group or capability of root's is left, in no process, and none can be gained."""
    need_root("becoming somebody else")
    nobody = pwd.getpwnam("nobody")
    user = '\n[process]\nuser = "nobody"\n'
    with serving(open_folder, user) as rrdns:
        for name, facts in everyone(rrdns).items():
            assert facts["Uid"] == " ".join([str(nobody.pw_uid)] * 4), name
            assert facts["Groups"] == "", name
            assert {facts[kind] for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {NONE}, (
                name
            )
            assert facts["NoNewPrivs"] == "1", name
        # One that was killed comes back with no more than it had.
        killed = rrdns.pids()["control"]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: is_whole(rrdns) and killed not in rrdns.pids().values())
        assert all(facts["NoNewPrivs"] == "1" for facts in everyone(rrdns).values())
        assert {facts["CapEff"] for facts in everyone(rrdns).values()} == {NONE}


def test_the_capability_for_the_port_is_given_back(tmp_path: Path) -> None:
    """As in the systemd unit and the container: it binds a low port, and then may no more."""
    need_root("leaving all capabilities but one")
    only = [peer("setpriv"), "--bounding-set=-all,+net_bind_service"]
    with serving(tmp_path, before=only, port=low_port()) as rrdns:
        for name, facts in everyone(rrdns).items():
            assert facts["CapBnd"] == "0000000000000400", name
            assert {facts[kind] for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {NONE}, (
                name
            )
            assert facts["NoNewPrivs"] == "1", name


def test_a_low_limit_of_open_files_is_raised(tmp_path: Path) -> None:
    """A silent member keeps a socket open, and a lost rack must leave some for the others."""
    low = ["sh", "-c", 'ulimit -S -n 100; exec "$@"', "sh"]
    with serving(tmp_path, before=low) as rrdns:
        for name, pid in rrdns.pids().items():
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            soft, hard = next(line for line in limits if "open files" in line).split()[3:5]
            assert int(soft) == min(int(hard), MAX_DESCRIPTORS), name


def test_what_is_written_is_for_its_user_alone(tmp_path: Path) -> None:
    """Orders, the trail and the last good answers, whatever umask it was started with."""
    with serving(tmp_path, before=["sh", "-c", 'umask 0; exec "$@"', "sh"]) as rrdns:
        rrdns.json("POST", "/v1/pools/boot/members/pvs-1/drain", {"force": True})
        files = [path for path in (tmp_path / "state").iterdir() if path.is_file()]
        assert {"rrdns.db"} < {path.name for path in files}
        assert [path.name for path in files if path.stat().st_mode & 0o077] == []


def test_no_token_is_in_the_log(tmp_path: Path) -> None:
    """Right or wrong, used in calls and orders, at the level that logs most, over a reload."""
    with serving(tmp_path, f'{TOKEN}\n[log]\nlevel = "debug"\n') as rrdns:
        for token, expected in ((SECRET, 200), (WRONG, 401), (WRONG, 401)):
            for method, path in (
                ("GET", "/v1/pools"),
                ("POST", "/v1/pools/boot/members/pvs-1/drain"),
                ("GET", f"/v1/pools?token={token}"),
            ):
                found = call(rrdns, method, path, token)
                assert found == expected or "?" in path, (method, path)
        assert rrdns.process is not None
        rrdns.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any(line["event"] == "reload" for line in rrdns.log_lines()))
        rrdns.stop()
        told = rrdns.log.read_text()
    assert '"by": "ops"' in told
    for secret in (SECRET, WRONG, hashlib.sha256(SECRET.encode()).hexdigest()):
        assert secret not in told


def call(rrdns: Rrdns, method: str, path: str, token: str) -> int:
    """Return the status of a call with a token."""
    connection = http.client.HTTPConnection("127.0.0.1", rrdns.api_port, timeout=10)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = '{"force": true}' if method == "POST" else None
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_what_root_reads_is_not_the_users_to_change(open_folder: Path) -> None:
    """The way that led to root: a store beside the config, and an exporter's command in it."""
    need_root("files of somebody else's")
    rrdns = Started(open_folder, members=[("pvs-1", "127.0.0.21")])
    command = open_folder / "tell"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    rrdns.write_config()
    more = (
        '[process]\nuser = "nobody"\n[[exporters]]\nname = "x"\ntype = "command"\n'
        f'pools = ["boot"]\ncommand = ["{command}"]\n'
    )
    rrdns.config.write_text(rrdns.config.read_text() + more)

    def told(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "rrdns", *args, str(rrdns.config)],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 2, done
        return done.stderr

    for args in (("check-config",), ("serve", "--config")):
        said = told(*args)
        assert "store.path: is in " in said
        assert f"chown -R nobody: {open_folder}" in said
    assert {path.stat().st_uid for path in (open_folder, rrdns.config, command)} == {0}
    # Whoever does as it says, beside a config, is told of the next mistake.
    for path in (open_folder, rrdns.config, command):
        shutil.chown(path, "nobody")
    said = told("check-config")
    why = f'the folder "{open_folder}", which belongs to nobody; nobody could become root with it'
    assert f"is in {why}: chown root: {open_folder}" in said
    assert f'exporters[0].command: is "{command}", which' in said


def test_a_second_rrdns_on_a_store_is_refused(open_folder: Path) -> None:
    """Two would each take the other's last member out; the lock outlives a killed control."""
    with serving(open_folder) as rrdns:
        os.kill(rrdns.pids()["control"], signal.SIGKILL)
        second = Started(open_folder / "second", members=rrdns.members)
        second.folder.mkdir()
        second.write_config(store={"path": open_folder / "state/../state/rrdns.db"})
        second.launch()
        assert second.process is not None
        assert second.process.wait(15) == 1
        assert rrdns.process is not None
        said = second.log.read_text()
        assert f"is in use by another rrdns (process {rrdns.process.pid} on " in said
        rrdns.process.kill()
        rrdns.process.wait(5)
        second.start()
        second.stop()
