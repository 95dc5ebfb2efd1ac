"""Give up what a DNS server does not need once its sockets are bound."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import stat
import sys
from contextlib import suppress
from pathlib import Path

from rrdns.errors import RrdnsError, StoreFailed
from rrdns.service.lifeline import refuse_new_rights

PRIVATE = 0o077
CAP_NET_BIND_SERVICE = 10  # capabilities(7)
_CAPABILITY_VERSION_3 = 0x20080522  # capset(2)


class CannotBecome(RrdnsError):
    """The user or group that the config names cannot be taken on."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot become {self.name!r}: {self.reason}"


def drop(user: str | None, group: str | None, store: Path | None) -> None:
    """Become the user and group, own the store and its folder, and lose what is needed no more.

    Raises:
        CannotBecome: there is no such user or group, or this process may not change.
        StoreFailed: its folder cannot be made.
    """
    os.umask(PRIVATE)
    if store is not None:
        _make_folder(store)
    if user is not None or group is not None:
        _become(user, group, store)
    with suppress(OSError):  # a sandbox may forbid even this
        _give_up_low_ports()
    refuse_new_rights()


def _make_folder(store: Path) -> None:
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        advice = f"make {store.parent} and give it to rrdns' user, or set store.path elsewhere"
        reason = f"{error.strerror or error}; {advice}"
        raise StoreFailed(str(store), "have its folder made", reason) from error


def _give_up_low_ports() -> None:
    """Lose the right to ports below 1024: nothing is bound any more, also by no exporter's command.

    Other rights are left as they are: who gave them, such as for a signal to a DHCP server,
    wants them used.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: 0 to 31 of each, then more
    if libc.capget(header, sets) == 0:
        for at in range(3):
            sets[at] &= ~(1 << CAP_NET_BIND_SERVICE) & 0xFFFF_FFFF
        if libc.capset(header, sets) != 0:
            raise OSError(ctypes.get_errno(), "capset")


def _become(user: str | None, group: str | None, store: Path | None) -> None:
    uid, gid = _ids(user, group)
    if (os.geteuid(), os.getegid()) == (uid, gid):
        return
    try:
        if store is not None:
            _give_away(store, uid, gid)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    except PermissionError as error:
        reason = "only root may; start rrdns as root or leave [process] out"
        raise CannotBecome(user or group or "", reason) from error


def _give_away(store: Path, uid: int, gid: int) -> None:
    """Let a user own the store, what stands beside it under its name, and their folder.

    Who may write there must not be given other files by links to them, nor what else is in a
    folder that is not ours alone.
    """
    if not store.parent.stat().st_mode & stat.S_ISVTX:  # as of /tmp, where anybody may write
        os.chown(store.parent, uid, gid)
    for path in store.parent.iterdir():
        if path.name.startswith(store.stem):
            os.chown(path, uid, gid, follow_symlinks=False)


def _ids(user: str | None, group: str | None) -> tuple[int, int]:
    uid, gid = os.geteuid(), os.getegid()
    try:
        if user is not None:
            entry = pwd.getpwnam(user)
            uid, gid = entry.pw_uid, entry.pw_gid
        if group is not None:
            gid = grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise CannotBecome(user or group or "", "no such user or group") from error
    return uid, gid
