"""Set up TLS of the client verbs, and explain TLS errors with advice."""

from __future__ import annotations

import ssl
import urllib.request
from pathlib import Path

from rrdns.cli.terminal.errors import WRONG_USE, CliError


def handlers_for(url: str, ca_file: Path | None) -> list[urllib.request.BaseHandler]:
    """Return urllib's handlers that check the certificate of an https URL.

    Raises:
        CliError: the CA file cannot be read. It is also read for an http URL.
    """
    if ca_file is None and not url.startswith("https:"):
        return []
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        why = (
            "has no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        )
        raise CliError(
            f"--ca-file {ca_file}: {why}",
            "give the file with the authority's certificate",
            WRONG_USE,
        ) from error
    return [urllib.request.HTTPSHandler(context=context)]


def tls_error_advice(error: ssl.SSLError) -> tuple[str, str]:
    """Return why the TLS handshake failed, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted ({error.verify_message})"
        return why, _REMEDIES.get(error.verify_code, _UNKNOWN_AUTHORITY)
    if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
        return "the server does not use TLS", "write the URL with http://"
    why = str(error.reason or error).lower().replace("_", " ")
    return f"TLS failed ({why})", "check its certificate and --url"


_UNKNOWN_AUTHORITY = "give its authority's certificate with --ca-file or RRDNS_CA_FILE"
_REMEDIES = {  # by OpenSSL's number (openssl-verification-options(1))
    9: "compare the clocks of both hosts",  # not valid yet
    10: "renew it there, then `systemctl reload rrdns`; or compare the clocks",  # expired
    62: "use a name in --url that its certificate has, or give it a certificate with this name",
    64: "use an address in --url that its certificate has, or give it one with this address",
}
