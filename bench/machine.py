"""Say what a figure was measured on: the date, the machine, and the version of each server."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from bench.peers import SEARCH

VERSIONS = {
    "gdnsd": ["gdnsd", "-V"],
    "knot": ["knotd", "--version"],
    "nsd": ["nsd", "-v"],
    "bind9": ["named", "-v"],
    "pdns": ["pdns_server", "--version"],
    "dnsperf": ["dnsperf", "-h"],
}


def describe() -> dict[str, str]:
    """Return what somebody needs to know who wants to repeat a measurement."""
    versions = {name: _version(command) for name, command in VERSIONS.items()}
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{name: version for name, version in versions.items() if version},
    }


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", text)
    virtual = ", virtual machine" if "hypervisor" in text else ""
    return (model.group(1) if model else platform.machine()) + virtual


def _version(command: list[str]) -> str:
    path = shutil.which(command[0], path=SEARCH)
    if path is None:
        return ""
    done = subprocess.run([path, *command[1:]], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return found.group() if found else ""
