"""The snippets for one option: 66 in each of its forms, and 150 as a list of addresses.

Each server's lines stand behind a heading, as `[Kea]`: a line in brackets.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from rrdns.snippets.dhcp.boot_options import (
    NO_OPTION_60,
    WHO_RESOLVES,
    WHO_TAKES_A_LIST,
    DhcpBootOptions,
    comment,
)


def option66(boot: DhcpBootOptions) -> str:
    """Return option 66 as a name, as one address and as a list, with who understands which."""
    semicolons = ";".join(boot.addresses)
    files = "".join(
        f"option 67 ({label}): {file}\noption 67 (iPXE, {label}): tftp://{boot.hostname}/{file}\n"
        for label, file, _ in boot.files.by_architecture()
    )
    return (
        comment(
            "#", WHO_RESOLVES, "What resolves it gets the present order from rrdns at each boot."
        )
        + f"[a name]\n{boot.hostname}\n\n"
        + comment(
            "#",
            "For firmware that reads option 66 at all: iPXE and EDK2 boot from next-server, "
            "whatever option 66 says. Stands still, also when that server is down.",
        )
        + f"[one address]\n{boot.first}\n\n"
        + comment(
            "#",
            WHO_TAKES_A_LIST,
            "Option 150 is the standardised list (RFC 5859), for phones.",
        )
        + f"[a list]\n{semicolons}\n\n"
        + comment("#", "By client architecture (option 93):")
        + f"[boot files]\n{files}\n"
        + comment("#", NO_OPTION_60)
    )


def option150(boot: DhcpBootOptions) -> str:
    """Return option 150 for each server that can send it."""
    addresses = boot.addresses
    commas, spaces = ", ".join(addresses), " ".join(addresses)
    octets = "".join(f"{int(IPv4Address(address)):08x}" for address in addresses)
    files = ", ".join(
        f"{file} for {label} (option 93: {', '.join(str(number) for number in numbers)})"
        for label, file, numbers in boot.files.by_architecture()
    )
    windows = ", ".join(f"'{address}'" for address in addresses)
    return (
        comment(
            "#",
            "Option 150 (RFC 5859) is a list of TFTP servers' addresses, made for phones. PXE "
            "firmware does not ask for it: give next-server or option 66 as well, and option 67: "
            f"{files}.",
            "The list stands still; an exporter of rrdns keeps it true (docs/exporters.md).",
            NO_OPTION_60,
        )
        + f"[hexadecimal]\n{octets}\n"
        + f"\n[Cisco IOS]\noption 150 ip {spaces}\n"
        + "\n[Windows PowerShell]\n"
        + "Add-DhcpServerv4OptionDefinition -OptionId 150 -Name 'TFTP servers' "
        + "-Type IPv4Address -MultiValued\n"
        + f"Set-DhcpServerv4OptionValue -OptionId 150 -Value {windows}\n"
        + '\n[Kea]\n{ "Dhcp4": {\n'
        + '  "option-def": [ { "name": "tftp-servers", "code": 150, "type": "ipv4-address", '
        + '"array": true } ],\n'
        + f'  "option-data": [ {{ "name": "tftp-servers", "data": "{commas}" }} ]\n}} }}\n'
        + "\n[ISC dhcpd]\noption tftp-servers code 150 = array of ip-address;\n"
        + f"option tftp-servers {commas};\n"
        + f"\n[dnsmasq]\ndhcp-option=option:tftp-server-address,{','.join(addresses)}\n"
    )
