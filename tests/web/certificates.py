"""Certificates for tests, made with openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.peers import peer


class Pair(NamedTuple):
    """A self-signed certificate and its key."""

    certificate: Path
    key: Path


def make_pair(folder: Path, name: str = "api") -> Pair:
    """Make a certificate for localhost and 127.0.0.1."""
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    about = ["-subj", f"/CN={name}", "-addext", names]
    files = ["-keyout", str(pair.key), "-out", str(pair.certificate)]
    command = [peer("openssl"), "req", "-x509", *curve, *about, *files]
    subprocess.run(command, check=True, capture_output=True)
    return pair
