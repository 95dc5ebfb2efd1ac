"""Make a TLS context of a certificate and its key, or say what is wrong with which of them.

A context is made anew each time the files are read and never changed: one whose files turn
out wrong harms nothing.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from rrdns.errors import RrdnsError

MAX_BYTES = 1024 * 1024  # of either file
_MARKS = {"tls_cert": b"-----BEGIN CERTIFICATE-----", "tls_key": b"PRIVATE KEY-----"}
_WHAT = {"tls_cert": "no certificate", "tls_key": "no private key"}


@dataclass(eq=False)
class TlsConfigError(RrdnsError):
    """A certificate and key cannot be used."""

    message = "api.{setting}: {path} {problem}"
    setting: str  # whose file is to blame: "tls_cert" or "tls_key"
    path: Path
    problem: str


def make_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what serves TLS with a certificate (and the chain in its file) and its key.

    Raises:
        TlsConfigError: one of the files cannot be read, or the two do not fit.
    """
    for setting, path in (("tls_cert", certificate), ("tls_key", key)):
        _check_file(setting, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9325, section 3.1.1
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password of our own, OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise _config_error(certificate, key, error) from error
    return context


def _check_file(setting: str, path: Path) -> None:
    """Check that a file is one that OpenSSL can be given: it blames neither of the two."""
    try:
        if not path.is_file():
            why = "is no file" if path.exists() else "does not exist"
            raise TlsConfigError(setting, path, why)
        with path.open("rb") as file:
            text = file.read(MAX_BYTES)
    except OSError as error:
        raise TlsConfigError(setting, path, f"cannot be read: {error.strerror or error}") from error
    if _MARKS[setting] not in text:
        raise TlsConfigError(setting, path, f"has {_WHAT[setting]} in PEM form")
    if setting == "tls_key" and b"ENCRYPTED" in text:
        raise TlsConfigError(
            setting, path, "is encrypted, and nobody could type its password at each start; "
            "`openssl pkey -in FILE -out PLAIN` writes it plainly"
        )  # fmt: skip


def _config_error(certificate: Path, key: Path, error: Exception) -> TlsConfigError:
    reason = getattr(error, "reason", None) or str(error)
    if reason == "KEY_VALUES_MISMATCH":
        return TlsConfigError("tls_key", key, f"is not the key of the certificate in {certificate}")
    try:
        ssl.create_default_context(cafile=str(certificate))
    except (ssl.SSLError, ValueError, OSError):
        return TlsConfigError("tls_cert", certificate, "has a certificate that cannot be read")
    return TlsConfigError("tls_key", key, f"cannot be used with {certificate}: {reason}")
