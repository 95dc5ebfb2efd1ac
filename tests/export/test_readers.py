"""What is written and printed, loaded by the real servers that it is for."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrdns.export.file.exporter import FileExporter
from rrdns.export.pool_view import Option66
from rrdns.export.settings import FileSettings
from rrdns.snippets.dhcp.boot_options import BootFiles
from rrdns.snippets.dhcp.formats import Format, snippet
from tests.export.dhcp_client import discover
from tests.export.kea_peer import kea
from tests.export.pool_views import view
from tests.peers import free_port, need_root, peer, running, wait_until

pytestmark = pytest.mark.peers

NAME, ADDRESSES = "boot.pvs.example.test", ["10.0.0.12", "10.0.0.13"]
HARD = BootFiles(bios='dir\\a "b", c.bin', uefi="efi\\pvs'x.efi")


def check(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a checker; return what it said, and fail if it is not content."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def section(text: str, heading: str) -> str:
    """Return what stands under a heading in brackets."""
    pattern = rf"(?ms)^\[{re.escape(heading)}\]\n(.*?)(?=^\[|^#|\Z)"
    found = re.search(pattern, text)
    assert found, heading
    return found[1].rstrip("\n") + "\n"


def settings(path: Path, template: str, **others: Any) -> FileSettings:
    """Return the settings of a file exporter."""
    return FileSettings(
        **{"name": "dhcp", "pools": ("boot",), "path": path, "template": template, **others}
    )


# Files


async def test_bind_nsd_and_knot_load_the_zone_file(tmp_path: Path) -> None:
    """Two pools of one zone in one file, with SOA, NS and glue."""
    path, zone = tmp_path / "zone", "pvs.example.test"
    two = [view(1, 2), view(3, pool="login")]
    await FileExporter(settings(path, "bind-zone", pools=("boot", "login"))).export(two)
    check(peer("named-checkzone"), "-i", "full", "-k", "fail", zone, path)
    check(peer("nsd-checkzone"), zone, path)
    config = tmp_path / "knot.conf"
    config.write_text(f'zone:\n  - domain: {zone}\n    file: "{path}"\n')
    check(peer("knotc"), "--config", config, "zone-check", zone)
    assert len(re.findall(r" IN A 10\.0\.0\.", path.read_text())) == 3


async def test_bind_answers_what_is_in_the_zone_file(tmp_path: Path) -> None:
    """A zone whose apex is the hostname itself, with the nameserver elsewhere."""
    path = tmp_path / "zone"
    one = view(1, 2)
    assert one.zone is not None
    apex = replace(one.zone, name=one.hostname, nameservers=one.zone.nameservers[1:])
    await FileExporter(settings(path, "bind-zone")).export([replace(one, zone=apex)])
    said = check(peer("named-checkzone"), "-D", "-o", "-", one.hostname, path)
    records = re.findall(rf"(?m)^{one.hostname}\.\s+5\s+IN A\s+10\.0\.0\.[12]$", said)
    assert len(records) == 2


@pytest.mark.parametrize("option66", [Option66.NAME, Option66.ADDRESS, Option66.LIST])
async def test_isc_dhcpd_loads_the_include(tmp_path: Path, option66: Option66) -> None:
    """Inside a subnet, as docs/exporters.md says."""
    path, config = tmp_path / "include", tmp_path / "dhcpd.conf"
    await FileExporter(settings(path, "isc-dhcpd", option66=option66)).export([view(1, 2)])
    config.write_text(f'subnet 10.0.0.0 netmask 255.255.255.0 {{ include "{path}"; }}\n')
    check(peer("dhcpd"), "-t", "-4", "-cf", config)


def test_dnsmasq_answers_from_the_hosts_file_and_reads_it_again(tmp_path: Path) -> None:
    """The real signal by the real pid file: who is gone is no longer answered."""
    dig, port = peer("dig"), free_port()
    hosts, pid_file, log = tmp_path / "hosts", tmp_path / "pid", tmp_path / "log"
    wanted = settings(hosts, "dnsmasq-hosts", pid_file=pid_file, process="dnsmasq")
    exporter = FileExporter(replace(wanted, pid_file=None))
    _tell(exporter, 1, 2, 3)
    command = [
        peer("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
        "--no-hosts", f"--addn-hosts={hosts}", f"--port={port}", "--listen-address=127.0.0.1",
        "--bind-interfaces", f"--pid-file={pid_file}", f"--user={_user()}", "--log-facility=-",
    ]  # fmt: skip

    def answer() -> set[str]:
        args = [dig, "+short", "+time=1", "+tries=1", "-p", str(port), "@127.0.0.1", NAME]
        said = subprocess.run(args, capture_output=True, text=True, check=False).stdout
        return set(said.split())

    with running(command, ready=lambda: len(answer()) == 3, log=log):
        exporter = FileExporter(wanted)
        _tell(exporter, 2, 3)
        wait_until(lambda: answer() == {"10.0.0.2", "10.0.0.3"}, what="read again")


def test_dnsmasq_turns_with_each_packet_and_the_file_turns_who_that_favours(
    tmp_path: Path,
) -> None:
    """Each third packet gets the same of three servers, until the file has another order."""
    need_root("a DHCP server")
    hosts, pid_file, log = tmp_path / "hosts", tmp_path / "pid", tmp_path / "log"
    wanted = settings(hosts, "dnsmasq-hosts", pid_file=pid_file, process="dnsmasq")
    _tell(FileExporter(replace(wanted, pid_file=None)), 1, 2, 3)
    config = tmp_path / "dnsmasq.conf"
    config.write_text(f"addn-hosts={hosts}\nno-hosts\nno-resolv\ndhcp-boot=F,{NAME},{NAME}\n")
    server = free_port()
    command = _dnsmasq_dhcp(config, server, server, pid_file, dns=free_port())

    def each_third() -> set[str]:
        offered = [discover(server, server, 0, byte).next_server for byte in range(1, 10)]
        assert set(offered) == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
        return set(offered[2::3])

    with running(command, log=log, ready=_says(log, f"read {hosts}")):
        (before,) = each_third()
        _tell(FileExporter(wanted), 3, 1, 2)
        wait_until(lambda: log.read_text().count(f"read {hosts}") >= 2, what="read again")
        (after,) = each_third()
    assert before != after


def test_dnsmasq_without_its_dns_tells_no_server_of_a_hosts_file(tmp_path: Path) -> None:
    """The trap that the snippet and the docs warn of: with port=0 no hosts file is read."""
    need_root("a DHCP server")
    hosts, log = tmp_path / "hosts", tmp_path / "log"
    _tell(FileExporter(settings(hosts, "dnsmasq-hosts")), 1, 2)
    config = tmp_path / "dnsmasq.conf"
    config.write_text(f"addn-hosts={hosts}\nno-hosts\ndhcp-boot=F,{NAME},{NAME}\n")
    server = free_port()
    command = _dnsmasq_dhcp(config, server, server, tmp_path / "pid")
    with running(command, log=log, ready=_says(log, "DHCP")):
        assert discover(server, server, 0).next_server == "0.0.0.0"
    assert "No IPv4 address found" in log.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="a DHCP server needs root")
def test_dnsmasq_offers_the_options_of_the_file(tmp_path: Path) -> None:
    """Options 66 and 150 as they arrive at a client, before and after a change."""
    options, pid_file, log = tmp_path / "options", tmp_path / "pid", tmp_path / "log"
    wanted = settings(options, "dnsmasq-options", option66=Option66.LIST)
    _tell(FileExporter(wanted), 1, 2)
    config = tmp_path / "dnsmasq.conf"
    config.write_text(f"dhcp-optsfile={options}\n")
    server, reply = free_port(), free_port()
    with running(
        _dnsmasq_dhcp(config, server, reply, pid_file), log=log, ready=_says(log, options)
    ):
        offer = discover(server, server, architecture=7)
        assert offer.text(66) == "10.0.0.1;10.0.0.2"
        assert offer.options[150] == bytes((10, 0, 0, 1, 10, 0, 0, 2))
        _tell(FileExporter(replace(wanted, pid_file=pid_file, option66=Option66.ADDRESS)), 2)
        wait_until(lambda: log.read_text().count(f"read {options}") >= 2, what="read again")
        offer = discover(server, server, architecture=7)
        assert offer.text(66) == "10.0.0.2"
        assert offer.options[150] == bytes((10, 0, 0, 2))


# Snippets


@pytest.mark.parametrize("files", [BootFiles(), HARD, BootFiles(bios="")], ids=str)
def test_kea_loads_its_snippet(tmp_path: Path, files: BootFiles) -> None:
    """As it is printed, comments included."""
    path = tmp_path / "kea.conf"
    path.write_text(snippet(Format.KEA, NAME, ADDRESSES, boot_files=files))
    check(
        peer("kea-dhcp4"),
        "-t",
        path,
        env={"KEA_PIDFILE_DIR": str(tmp_path), "KEA_LOCKFILE_DIR": str(tmp_path)},
    )


def test_kea_offers_each_architecture_its_boot_file() -> None:
    """The classes of the snippet, merged into a config, seen by clients."""
    import json

    text = snippet(Format.KEA, NAME, ADDRESSES, boot_files=HARD)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("//"))
    subnet = {"id": 1, "subnet": "127.0.0.0/8", "pools": [{"pool": "127.9.0.1-127.9.0.9"}]}
    with kea({**json.loads(body)["Dhcp4"], "subnet4": [subnet]}) as server:
        for architecture, file in ((0, HARD.bios), (7, HARD.uefi), (9, HARD.uefi)):
            offer = discover(server.dhcp_port, server.reply_port, architecture)
            assert (offer.next_server, offer.file) == ("10.0.0.12", file)
            assert offer.text(66) == NAME
            assert offer.text(67) == file
        assert discover(server.dhcp_port, server.reply_port, 11).next_server == "0.0.0.0"


@pytest.mark.parametrize("files", [BootFiles(), HARD, BootFiles(uefi="")], ids=str)
def test_isc_dhcpd_loads_its_snippet(tmp_path: Path, files: BootFiles) -> None:
    """As it is printed, at the top level."""
    path = tmp_path / "dhcpd.conf"
    path.write_text(snippet(Format.ISC, NAME, ADDRESSES, boot_files=files))
    check(peer("dhcpd"), "-t", "-4", "-cf", path)


@pytest.mark.parametrize("files", [BootFiles(), HARD], ids=str)
def test_dnsmasq_loads_its_snippet(tmp_path: Path, files: BootFiles) -> None:
    """As it is printed, and with the other choice of lines."""
    path = tmp_path / "dnsmasq.conf"
    text = snippet(Format.DNSMASQ, NAME, ADDRESSES, boot_files=files)
    for written in (text, text.replace("#dhcp-boot", "dhcp-boot").replace("#addn", "addn")):
        path.write_text(written)
        assert "syntax check OK" in check(peer("dnsmasq"), "--test", f"--conf-file={path}")


@pytest.mark.skipif(os.geteuid() != 0, reason="a DHCP server needs root")
def test_dnsmasq_offers_each_architecture_its_boot_file(tmp_path: Path) -> None:
    """The lines of the snippet, seen by clients."""
    config, log = tmp_path / "dnsmasq.conf", tmp_path / "log"
    config.write_text(snippet(Format.DNSMASQ, NAME, ADDRESSES, boot_files=HARD))
    server, reply = free_port(), free_port()
    with running(
        _dnsmasq_dhcp(config, server, reply, tmp_path / "pid"), log=log, ready=_says(log, "DHCP")
    ):
        for architecture, file in ((0, HARD.bios), (7, HARD.uefi), (9, HARD.uefi)):
            offer = discover(server, server, architecture)
            assert offer.next_server == "10.0.0.12"
            assert offer.text(67) == file


def test_every_server_loads_its_part_of_the_option_150_snippet(tmp_path: Path) -> None:
    """Kea, ISC dhcpd and dnsmasq; the octets are those of the addresses."""
    text = snippet(Format.OPTION150, NAME, ADDRESSES)
    path = tmp_path / "config"
    path.write_text(section(text, "Kea"))
    env = {"KEA_PIDFILE_DIR": str(tmp_path), "KEA_LOCKFILE_DIR": str(tmp_path)}
    check(peer("kea-dhcp4"), "-t", path, env=env)
    path.write_text(section(text, "ISC dhcpd"))
    check(peer("dhcpd"), "-t", "-4", "-cf", path)
    path.write_text(section(text, "dnsmasq"))
    check(peer("dnsmasq"), "--test", f"--conf-file={path}")
    assert bytes.fromhex(section(text, "hexadecimal")) == bytes((10, 0, 0, 12, 10, 0, 0, 13))


@pytest.mark.parametrize("heading", ["a name", "one address", "a list"])
def test_every_server_takes_each_form_of_option_66(tmp_path: Path, heading: str) -> None:
    """What is printed can be entered as the text of option 66 everywhere."""
    value = section(snippet(Format.OPTION66, NAME, ADDRESSES), heading).strip()
    path = tmp_path / "config"
    option = f'{{ "name": "tftp-server-name", "data": "{value}" }}'
    path.write_text(f'{{ "Dhcp4": {{ "option-data": [ {option} ] }} }}')
    env = {"KEA_PIDFILE_DIR": str(tmp_path), "KEA_LOCKFILE_DIR": str(tmp_path)}
    check(peer("kea-dhcp4"), "-t", path, env=env)
    path.write_text(f'option tftp-server-name "{value}";\n')
    check(peer("dhcpd"), "-t", "-4", "-cf", path)
    path.write_text(f'dhcp-option=option:tftp-server,"{value}"\n')
    check(peer("dnsmasq"), "--test", f"--conf-file={path}")


def _tell(exporter: FileExporter, *numbers: int) -> None:
    import asyncio

    asyncio.run(exporter.export([view(*numbers)]))


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _dnsmasq_dhcp(config: Path, server: int, reply: int, pid_file: Path, dns: int = 0) -> list[str]:
    return [
        peer("dnsmasq"), "--keep-in-foreground", f"--conf-file={config}", f"--port={dns}",
        "--interface=lo", "--bind-interfaces", f"--dhcp-alternate-port={server},{reply}",
        "--dhcp-range=127.9.0.1,127.9.0.99,255.0.0.0", "--leasefile-ro", "--no-ping",
        f"--pid-file={pid_file}", f"--user={_user()}", "--log-facility=-", "--log-dhcp",
    ]  # fmt: skip


def _says(log: Path, what: object) -> Any:
    return lambda: log.exists() and str(what) in log.read_text()
