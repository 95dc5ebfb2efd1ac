"""Boot files that tell on the serial port who served them, and then switch the machine off.

They stand in for ARDBP32.BIN and pvsnbpx64.efi. The words are at the file's end, so that
only a file that came over whole can tell them.
"""

from __future__ import annotations

import struct

MARK = "BOOTED FROM "
PVS = b"Provisioning Services bootstrap v7.15.0.11"  # what probes look for in ARDBP32.BIN
SIZE = 20_000  # bytes before the words: 14 blocks of 1432 bytes
EXIT_PORT = 0xF4  # of QEMU's isa-debug-exit, which ends QEMU with (value * 2 + 1)
EXIT_VALUE = 0x10
EXIT_STATUS = EXIT_VALUE * 2 + 1

# 16-bit, loaded at 0000:7C00. SI is set to the words, whose distance follows 81 C6.
_BIOS_START = bytes.fromhex(
    "E8 00 00"  # call the next instruction
    "5E"  # pop si: its address
    "0E 1F"  # push cs; pop ds
    "FC"  # cld
)
_BIOS_ADD = bytes.fromhex("81 C6")  # add si, the distance from the pop
_BIOS_PRINT = bytes.fromhex(
    "AC"  # next: lodsb
    "84 C0 74 12"  # test al, al; jz done
    "88 C4"  # mov ah, al
    "BA FD 03 EC A8 20 74 FB"  # mov dx, 3FDh; wait: in al, dx; test al, 20h; jz wait
    "88 E0"  # mov al, ah
    "BA F8 03 EE"  # mov dx, 3F8h; out dx, al
    "EB E9"  # jmp next
    f"B0 {EXIT_VALUE:02X} BA {EXIT_PORT:02X} 00 EE"  # done: mov al; mov dx; out dx, al
    "FA F4 EB FD"  # cli; halt: hlt; jmp halt
)
# The same for 64 bits.
_UEFI_LEA = bytes.fromhex("48 8D 35")  # lea rsi, [rip + the distance from the next instruction]
_UEFI_PRINT = bytes.fromhex(
    "AC 84 C0 74 14 88 C4"
    "66 BA FD 03 EC A8 20 74 FB"
    "88 E0 66 BA F8 03 EE EB E7"
    f"B0 {EXIT_VALUE:02X} 66 BA {EXIT_PORT:02X} 00 EE"
    "FA F4 EB FD"
)


def bios(server: str) -> bytes:
    """Return a network bootstrap program for BIOS."""
    distance = SIZE - _BIOS_START.index(b"\x5e")
    code = _BIOS_START + _BIOS_ADD + struct.pack("<H", distance) + _BIOS_PRINT
    return (code + PVS).ljust(SIZE, b"\0") + _words(server)


def uefi(server: str) -> bytes:
    """Return an application for UEFI on x64: a PE32+ image of one section."""
    head, page = 0x200, 0x1000
    distance = SIZE - head - len(_UEFI_LEA) - 4
    code = _UEFI_LEA + struct.pack("<i", distance) + _UEFI_PRINT
    section = code.ljust(SIZE - head, b"\0") + _words(server)
    section += bytes(-len(section) % head)
    image_size = page + (len(section) + page - 1) // page * page
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x0022)
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        0x20B, 0, 0,  # PE32+, the linker's version
        len(section), 0, 0, page, page,  # sizes of code and data; entry; base of code
        0, page, head,  # image base; alignment in memory and in the file
        0, 0, 0, 0, 0, 0, 0,  # versions
        image_size, head, 0,  # size of the image and of its heads; no checksum
        10, 0,  # a UEFI application
        0, 0, 0, 0, 0, 16,  # stack and heap; sixteen empty directories follow
    ).ljust(240, b"\0")  # fmt: skip
    rows = struct.pack("<IIIIIIHHI", len(section), page, len(section), head, 0, 0, 0, 0, 0x60000020)
    return (dos + coff + optional + b".text\0\0\0" + rows).ljust(head, b"\0") + section


def _words(server: str) -> bytes:
    return f"{MARK}{server}\r\n\0".encode()
