"""The fields of the templates for DHCP servers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from ipaddress import IPv4Address

from rrdns.snippets.dhcp.boot_options import DhcpBootOptions
from rrdns.snippets.rendering import powershell_string
from rrdns.template import Item

NOTES = {  # comments that several snippets have
    "note_option_60": (
        "Do not set option 60 (PXEClient) unless a PXE service answers on port 4011. With it, UEFI "
        "firmware sends its request there (to next-server, if there is one). It gets no answer and "
        "does not boot."
    ),
    "note_name": (
        "Most firmware does not resolve a name in option 66; it boots from next-server (siaddr). "
        "iPXE resolves the name if option 67 is tftp://NAME/FILE. UEFI firmware uses that text as "
        "a file name and does not boot: send it to iPXE only (option 77, user class iPXE)."
    ),
    "note_login_servers": (
        "The UEFI boot file does not contain the login servers: send them in option 11, or in "
        "option 17 as pvs:[NAME]:17:6910."
    ),
    "note_list": (
        "Several addresses in option 66, separated by semicolons, are not standard (RFC 2132, "
        "section 9.4: one string). Some DHCP and IPAM products and TFTP clients understand them; "
        "most firmware does not. Test it with a real target."
    ),
}


def fields_of(boot: DhcpBootOptions) -> Item:
    """Return the fields that all DHCP templates can use."""
    addresses = boot.addresses
    return {
        **NOTES,
        "hostname": boot.hostname,
        "hostname_powershell": powershell_string(boot.hostname),
        "first": addresses[0],
        "addresses": ", ".join(addresses),
        "addresses_powershell": ", ".join(powershell_string(address) for address in addresses),
        "with_commas": ",".join(addresses),
        "with_semicolons": ";".join(addresses),
        "with_spaces": " ".join(addresses),
        "hexadecimal": "".join(f"{int(IPv4Address(address)):08x}" for address in addresses),
        "files_by_architecture": ", ".join(
            f"{file} for {firmware} (option 93: {', '.join(map(str, numbers))})"
            for firmware, file, numbers in boot.files.by_architecture()
        ),
        "boot_files": list(_boot_files(boot)),
    }


def _boot_files(boot: DhcpBootOptions) -> Iterator[Item]:
    rows = boot.files.by_architecture()
    for firmware, file, numbers in rows:
        architectures: list[Item] = [
            {
                "number": number,
                "digits": f"{number:05d}",
                "octets": f"{number >> 8:02x}:{number & 255:02x}",
                "vendor_class": f"PXE {firmware.upper()} (arch {number:05d})",
            }
            for number in numbers
        ]
        yield {
            "firmware": firmware,
            "FIRMWARE": firmware.upper(),
            "file": file,
            "file_powershell": powershell_string(file),
            "file_json": json.dumps(file),  # dhcpd.conf has the same strings
            "file_kea": json.dumps(file.replace(",", "\\,")),  # a plain comma ends the value
            "file_dnsmasq": _dnsmasq_string(file),
            "architectures": architectures,
            "vendor_classes": ", ".join(f"'{row['vendor_class']}*'" for row in architectures),
            "kea_test": " or ".join(f"option[93].hex == 0x{number:04x}" for number in numbers),
            "comma": "" if firmware == rows[-1][0] else ",",
        }


def _dnsmasq_string(text: str) -> str:
    """Return a text for dnsmasq.conf, in quotes if it has a character with a meaning there."""
    return text if re.fullmatch(r"[\w./:+-]+", text) else json.dumps(text)
