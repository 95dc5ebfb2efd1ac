"""The snippets for DHCP servers: Windows, Kea, ISC dhcpd and dnsmasq."""

from __future__ import annotations

from rrdns.snippets.dhcp.boot_options import (
    WARNINGS,
    WHO_TAKES_A_LIST,
    DhcpBootOptions,
    c_string,
    comment,
    dnsmasq_string,
    powershell_string,
)

_STANDS_STILL = (
    "This next-server stands still: it is {first}, also when that server is down. {cure} "
    "(docs/exporters.md)."
)


def windows(boot: DhcpBootOptions) -> str:
    """Return PowerShell for a Windows DHCP server."""
    head = comment(
        "#",
        f"PowerShell, on the DHCP server: {boot.hostname} for PVS targets, by client architecture.",
        "Set the scope first. A policy's options go before the scope's own.",
        *WARNINGS,
        WHO_TAKES_A_LIST,
    )
    return head + "$scope = '10.0.0.0'\n" + "".join(_windows_policies(boot))


def _windows_policies(boot: DhcpBootOptions) -> list[str]:
    policies = []
    for label, file, architectures in boot.files.by_architecture():
        names = [f"PXE {label.upper()} (arch {number:05d})" for number in architectures]
        classes = "".join(
            f"Add-DhcpServerv4Class -Name '{name}' -Type Vendor "
            f"-Data 'PXEClient:Arch:{number:05d}'\n"
            for name, number in zip(names, architectures, strict=True)
        )
        matches = ", ".join(f"'{name}*'" for name in names)
        policy = f"-ScopeId $scope -PolicyName 'PVS {label.upper()}'"
        policies.append(
            f"\n{classes}"
            f"Add-DhcpServerv4Policy -Name 'PVS {label.upper()}' -ScopeId $scope "
            f"-Condition OR -VendorClass 'EQ', {matches}\n"
            f"{_windows_option(policy, 66, boot.hostname)}{_windows_option(policy, 67, file)}"
        )
    return policies


def _windows_option(policy: str, number: int, text: str) -> str:
    value = powershell_string(text)
    return f"Set-DhcpServerv4OptionValue {policy} -OptionId {number} -Value {value}\n"


def kea(boot: DhcpBootOptions) -> str:
    """Return a Kea DHCPv4 config of client classes, to be merged into one's own."""
    head = comment(
        "//",
        f"Kea: {boot.hostname} for PVS targets, by client architecture (option 93).",
        "Merge the classes into client-classes of your kea-dhcp4.conf.",
        _STANDS_STILL.format(
            first=boot.first, cure="The kea exporter of rrdns keeps it true: name these classes"
        ),
        *WARNINGS,
    )
    classes = ",\n".join(
        _kea_class(boot, label, file, numbers)
        for label, file, numbers in boot.files.by_architecture()
    )
    return f'{head}{{ "Dhcp4": {{\n  "client-classes": [\n{classes}\n  ]\n}} }}\n'


def _kea_class(boot: DhcpBootOptions, label: str, file: str, architectures: tuple[int, ...]) -> str:
    data = file.replace(",", "\\,")  # a comma alone would end the value
    test = " or ".join(f"option[93].hex == 0x{number:04x}" for number in architectures)
    return (
        f'    {{ "name": "pvs-{label}",\n'
        f'      "test": "{test}",\n'
        f'      "next-server": "{boot.first}",\n'
        f'      "boot-file-name": {c_string(file)},\n'
        f'      "option-data": [\n'
        f'        {{ "name": "tftp-server-name", "data": "{boot.hostname}" }},\n'
        f'        {{ "name": "boot-file-name", "data": {c_string(data)} }}\n'
        f"      ] }}"
    )


def isc(boot: DhcpBootOptions) -> str:
    """Return classes for ISC dhcpd, for an include at the top of dhcpd.conf."""
    head = comment(
        "#",
        f"ISC dhcpd: {boot.hostname} for PVS targets, by client architecture (option 93).",
        "Include it at the top level of dhcpd.conf.",
        _STANDS_STILL.format(
            first=boot.first, cure="A file exporter of rrdns with template isc-dhcpd keeps it true"
        ),
        "A name as next-server would be resolved once and kept for 3600 s whatever its TTL, and "
        "only its first address used.",
        *WARNINGS,
    )
    classes = "".join(
        _isc_class(boot, label, file, number)
        for label, file, numbers in boot.files.by_architecture()
        for number in numbers
    )
    return f"{head}option pvs-architecture code 93 = unsigned integer 16;\n{classes}"


def _isc_class(boot: DhcpBootOptions, label: str, file: str, architecture: int) -> str:
    octets = f"{architecture >> 8:02x}:{architecture & 255:02x}"
    return (
        f'\nclass "pvs-{label}-{architecture}" {{\n'
        f"    match if option pvs-architecture = {octets};\n"
        f"    next-server {boot.first};\n"
        f"    filename {c_string(file)};\n"
        f'    option tftp-server-name "{boot.hostname}";\n'
        f"    option bootfile-name {c_string(file)};\n"
        f"}}\n"
    )


def dnsmasq(boot: DhcpBootOptions) -> str:
    """Return lines for dnsmasq.conf."""
    head = comment(
        "#",
        f"dnsmasq: {boot.hostname} for PVS targets, by client architecture (option 93).",
        "dnsmasq looks the name up in its hosts files, never in DNS, and takes the next address "
        "for each packet that it answers. A file exporter of rrdns with template dnsmasq-hosts "
        "writes such a file: uncomment addn-hosts and the lines with the name in place of the "
        "address, and remove the others. With port=0 dnsmasq reads no hosts file, and tells no "
        "next-server then.",
        _STANDS_STILL.format(first=boot.first, cure="The hosts file does not stand still"),
        *WARNINGS,
    )
    parts = [head, "#addn-hosts=/var/lib/rrdns-export/dnsmasq.hosts\n"]
    for label, file, numbers in boot.files.by_architecture():
        tag, name = f"pvs-{label}", dnsmasq_string(file)
        parts += [f"dhcp-match=set:{tag},option:client-arch,{number}\n" for number in numbers]
        parts += [
            f"dhcp-boot=tag:{tag},{name},{boot.hostname},{boot.first}\n",
            f"#dhcp-boot=tag:{tag},{name},{boot.hostname},{boot.hostname}\n",
        ]
    return "".join(parts)
