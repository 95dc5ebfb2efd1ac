"""Boot firmware accepts our answers: its own rules, applied to the bytes we send.

The rules are those of the sources of iPXE, EDK2, GRUB 2 and U-Boot.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from rrdns.wire.responder import respond
from tests.wire import world

IPXE_QUERY = bytes.fromhex("1234 0100 0001 0000 0000 0000")
NAMES = (
    "boot.pvs.example.test",
    "lone.pvs.example.test",
    "apex.test",
    "deep.site.pvs.example.test",
)


def question(name: str, rtype: int = 1) -> bytes:
    """Return the question as firmware writes it: lower case, class IN, no EDNS."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return labels + b"\0" + struct.pack("!HH", rtype, 1)


def records(answer: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return offset, type, class and data of the records in the answer section."""
    count = struct.unpack_from("!H", answer, 6)[0]
    at = answer.index(b"\0", 12) + 5
    found = []
    for _ in range(count):
        start = at
        at = skip(answer, at)
        rtype, rclass, _, size = struct.unpack_from("!HHIH", answer, at)
        found.append((start, rtype, rclass, answer[at + 10 : at + 10 + size]))
        at += 10 + size
    return found


def skip(answer: bytes, at: int) -> int:
    """Return where a name ends."""
    while answer[at]:
        if answer[at] >= 0xC0:
            return at + 2
        at += answer[at] + 1
    return at + 1


def ipxe(asked: bytes, answer: bytes) -> bytes:
    """Take the first A record whose owner is the name asked for; RCODE and TC are not looked at."""
    assert answer[:2] == asked[:2]
    assert answer[2] & 0x80
    assert answer[4:6] == b"\0\1"
    assert answer[12 : 12 + len(asked) - 12].lower() == asked[12:].lower()
    return next(data for start, rtype, _, data in records(answer) if rtype == 1)


def edk2(asked: bytes, answer: bytes) -> bytes:
    """Refuse every error, every owner but a pointer, and every record of another type."""
    flags, questions, answers = struct.unpack_from("!HHH", answer, 2)
    assert answer[:2] == asked[:2]
    assert flags & 0x8000
    assert flags & 0xF == 0
    assert questions <= 1
    assert answers >= 1
    for start, rtype, rclass, data in records(answer):
        assert answer[start] & 0xC0 == 0xC0
        assert (rtype, rclass, len(data)) == (1, 1, 4)
    return records(answer)[0][3]


def grub(asked: bytes, answer: bytes) -> bytes:
    """Compare names with their case, and want no error."""
    assert answer[:2] == asked[:2]
    assert answer[3] & 0xF == 0
    assert answer[12:].startswith(asked[12:-4])
    return next(data for _, rtype, rclass, data in records(answer) if (rtype, rclass) == (1, 1))


def u_boot(asked: bytes, answer: bytes) -> bytes:
    """Want one question, an owner that is a pointer or a name, and A records before others."""
    assert answer[:2] == asked[:2]
    assert answer[4:6] == b"\0\1"
    start, rtype, _, data = records(answer)[0]
    assert rtype == 1
    assert answer[start] == 0xC0 or answer[start] < 64
    return data


@pytest.mark.parametrize("firmware", [ipxe, edk2, grub, u_boot])
@pytest.mark.parametrize("name", NAMES)
def test_firmware_takes_the_address_whose_turn_it_is(
    firmware: Callable[[bytes, bytes], bytes], name: str
) -> None:
    """Each kind of firmware accepts each answer, and takes the first address in it."""
    answers = world.table()
    asked = IPXE_QUERY + question(name)
    taken = []
    for _ in range(3):
        answer = respond(asked, answers)
        assert answer is not None
        taken.append(firmware(asked, answer))
    members = 1 if name.startswith("lone") else 3
    assert taken == [bytes([10, 0, 0, 1 + n % members]) for n in range(3)]


@pytest.mark.parametrize("members", [1, 2, 28, 40])
@pytest.mark.parametrize("most", [1, 4, 28])
def test_firmware_takes_the_answers_of_pools_of_every_size(members: int, most: int) -> None:
    """No answer is longer than 512 bytes or four times its query, and none has TC."""
    answers = world.table(world.rota("boot", members=members, answers=most))
    asked = IPXE_QUERY + question("boot.pvs.example.test")
    for turn in range(members):
        answer = respond(asked, answers)
        assert answer is not None
        assert len(answer) <= min(512, 4 * len(asked))
        assert not answer[2] & 2
        assert len(records(answer)) == min(members, most, 3 * len(asked) // 16)
        for firmware in (ipxe, edk2, grub, u_boot):
            assert firmware(asked, answer)[3] == turn + 1


def test_grubs_pair_of_queries_turns_the_rotation_once() -> None:
    """GRUB asks A and AAAA back to back with one ID; with two members, both must get their turn."""
    answers = world.table(world.rota("boot", members=2))
    taken = []
    for _ in range(4):
        for rtype in (1, 28):
            asked = IPXE_QUERY + question("boot.pvs.example.test", rtype)
            answer = respond(asked, answers)
            assert answer is not None
            if rtype == 1:
                taken.append(grub(asked, answer)[3])
    assert taken == [1, 2, 1, 2]
