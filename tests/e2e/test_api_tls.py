"""The API over TLS in a running service: its certificate is renewed, or refused, under way."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path

from tests.e2e.farm import Rrdns
from tests.peers import need_root, wait_until
from tests.web.certificates import Pair, make_pair


class Secure(Rrdns):
    """rrdns whose API speaks TLS only."""

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return bool(served(self))


def served(rrdns: Rrdns) -> str:
    """Return the certificate that the API shows now, in PEM form; empty where it shows none."""
    try:
        return ssl.get_server_certificate(("127.0.0.1", rrdns.api_port), timeout=2)
    except OSError:
        return ""


def put(pair: Pair, folder: Path) -> None:
    """Put a pair where the config names one."""
    shutil.copy(pair.certificate, folder / "api.crt")
    shutil.copy(pair.key, folder / "api.key")


def hup(rrdns: Rrdns, event: str) -> None:
    """Let rrdns read its config again; wait until it has."""
    assert rrdns.process is not None
    before = sum(line["event"] == event for line in rrdns.log_lines())
    rrdns.process.send_signal(signal.SIGHUP)
    wait_until(lambda: sum(line["event"] == event for line in rrdns.log_lines()) > before)


def test_sighup_renews_the_certificate_and_refuses_a_bad_one(tmp_path: Path) -> None:
    """The old one stays; what is wrong is told with its place, also by check-config."""
    first, second = make_pair(tmp_path, "first"), make_pair(tmp_path, "second")
    put(first, tmp_path)
    rrdns = Secure(tmp_path, members=[("pvs-1", "127.0.0.21")])
    rrdns.write_config()
    tls = f'tls_cert = "{tmp_path}/api.crt"\ntls_key = "{tmp_path}/api.key"\n'
    rrdns.config.write_text(rrdns.config.read_text().replace("[store]", f"{tls}\n[store]"))
    try:
        rrdns.start()
        assert served(rrdns) == first.certificate.read_text()
        assert verb(rrdns, "status", first)  # a member that is down: exit status 1, but told
        put(second, tmp_path)
        hup(rrdns, "reload")
        assert served(rrdns) == second.certificate.read_text()
        shutil.copy(first.key, tmp_path / "api.key")
        hup(rrdns, "reload-failed")
        assert served(rrdns) == second.certificate.read_text()
        told = [line for line in rrdns.log_lines() if line["event"] == "config mistake"]
        wrong = f"is not the key of the certificate in {tmp_path}/api.crt"
        assert told[-1]["mistake"].startswith("api.tls_key: ")
        assert wrong in told[-1]["mistake"]
        check = run("check-config", str(rrdns.config))
        assert check.returncode == 2
        assert "api.tls_key" in check.stderr
        # The control process that comes after this one has no files to go by: nobody is let in
        # rather than somebody without TLS; probes and answers go on.
        os.kill(rrdns.pids()["control"], signal.SIGKILL)
        wait_until(lambda: any(x["event"] == "api-certificate" for x in rrdns.log_lines()))
        assert served(rrdns) == ""
        assert rrdns.addresses()
        put(first, tmp_path)
        hup(rrdns, "reload")
        assert served(rrdns) == first.certificate.read_text()
        assert rrdns.log_lines()[-1]["event"] != "api-certificate"
    finally:
        rrdns.stop()


def test_a_key_that_only_root_may_read_is_told_at_the_start(open_folder: Path) -> None:
    """Before the first query, and not at the first reload."""
    need_root("becoming somebody else")
    keys = open_folder / "keys"
    keys.mkdir(mode=0o755)
    pair = make_pair(keys)
    pair.key.chmod(0o600)
    rrdns = Rrdns(open_folder, members=[("pvs-1", "127.0.0.21")])
    state = open_folder / "state"  # which rrdns makes for the user
    rrdns.write_config(store={"path": state / "rrdns.db"})
    tls = f'tls_cert = "{pair.certificate}"\ntls_key = "{pair.key}"\n'
    rrdns.config.write_text(
        rrdns.config.read_text().replace("[store]", f'{tls}\n[process]\nuser = "nobody"\n\n[store]')
    )
    done = run("serve", "--config", str(rrdns.config))
    assert done.returncode == 1
    assert f"{pair.key} cannot be read: Permission denied" in " ".join(done.stderr.split())


def verb(rrdns: Rrdns, name: str, pair: Pair) -> str:
    """Return what a client verb prints that trusts one certificate."""
    url = f"https://127.0.0.1:{rrdns.api_port}"
    done = run(name, "--url", url, "--ca-file", str(pair.certificate), "--json")
    assert "pools" in done.stdout, done.stderr
    return done.stdout


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "rrdns", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
