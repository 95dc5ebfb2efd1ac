"""Give up what a DNS server does not need once its sockets are bound."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rrdns.config.ownership import identity_of, unfit_state
from rrdns.errors import RrdnsError, StoreFailed
from rrdns.service.runtime.heartbeat import set_no_new_privs

PRIVATE = 0o077
CAP_NET_BIND_SERVICE = 10  # capabilities(7)
_CAPABILITY_VERSION_3 = 0x20080522  # capset(2)
_ONLY_ROOT = "only root may; start rrdns as root or leave [process] out"


class PrivilegeDropFailed(RrdnsError):
    """The user or group that the config names cannot be taken on."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot become {self.name!r}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the processes run as."""

    uid: int
    gid: int
    name: str = ""

    @property
    def is_ours(self) -> bool:
        """Tell whether this process runs as it already."""
        return (os.geteuid(), os.getegid()) == (self.uid, self.gid)


def prepare_state_folder(user: str | None, group: str | None, store: Path | None) -> Account:
    """Return whom to become, with the store's folder made theirs.

    Raises:
        PrivilegeDropFailed: there is no such user or group, or this process may not change.
        StoreFailed: the folder cannot be made, or belongs to somebody else.
    """
    uid, gid = _ids(user, group)
    account = Account(uid, gid, user or group or "")
    if not account.is_ours and os.geteuid() != 0:
        raise PrivilegeDropFailed(account.name, _ONLY_ROOT)
    if store is not None:
        _make_folder(store, uid, gid)
        who = identity_of(user, group)
        unfit = unfit_state(store, who) if who is not None else ""
        if unfit:
            raise StoreFailed(str(store), "be used", f"it {unfit}")
    os.umask(PRIVATE)
    return account


@contextmanager
def acting_as(account: Account) -> Iterator[None]:
    """Open files as the account does, and be root again afterwards.

    Raises:
        PrivilegeDropFailed: this process may not.
    """
    if account.is_ours:
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    try:
        os.setgroups([])
        os.setegid(account.gid)
        os.seteuid(account.uid)
    except PermissionError as error:
        raise PrivilegeDropFailed(account.name, _ONLY_ROOT) from error
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)


def drop_privileges(account: Account) -> None:
    """Become the account for good, and lose what is needed no more; again changes nothing.

    Raises:
        PrivilegeDropFailed: this process may not change.
    """
    os.umask(PRIVATE)
    _become(account)
    with suppress(OSError):  # a sandbox may forbid even this
        _give_up_low_ports()
    set_no_new_privs()


def _make_folder(store: Path, uid: int, gid: int) -> None:
    """Make the store's folder where there is none, and give it to a user: it, and nothing else.

    It is given away by its descriptor, so that whoever may write in a folder above cannot have
    another one given away in its place.
    """
    folder = store.parent
    try:
        if folder.is_dir():
            return
        os.umask(0o022)  # whoever gets the folder must be able to reach it
        folder.parent.mkdir(parents=True, exist_ok=True)
        above = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.mkdir(folder.name, 0o700, dir_fd=above)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            made = os.open(folder.name, flags, dir_fd=above)
            try:
                if os.geteuid() == 0:
                    os.fchown(made, uid, gid)
            finally:
                os.close(made)
        finally:
            os.close(above)
    except OSError as error:
        advice = f"make {folder} and give it to rrdns' user, or set store.path elsewhere"
        reason = f"{error.strerror or error}; {advice}"
        raise StoreFailed(str(store), "have its folder made", reason) from error


def _give_up_low_ports() -> None:
    """Lose the right to ports below 1024: nothing is bound any more, also by no exporter's command.

    Other rights are left as they are: who gave them, such as for a signal to a DHCP server,
    wants them used.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: 0 to 31 of each, then more
    if libc.capget(header, sets) == 0:
        for at in range(3):
            sets[at] &= ~(1 << CAP_NET_BIND_SERVICE) & 0xFFFF_FFFF
        if libc.capset(header, sets) != 0:
            raise OSError(ctypes.get_errno(), "capset")


def _become(account: Account) -> None:
    if account.is_ours:
        return
    try:
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
    except PermissionError as error:
        raise PrivilegeDropFailed(account.name, _ONLY_ROOT) from error


def _ids(user: str | None, group: str | None) -> tuple[int, int]:
    uid, gid = os.geteuid(), os.getegid()
    try:
        if user is not None:
            entry = pwd.getpwnam(user)
            uid, gid = entry.pw_uid, entry.pw_gid
        if group is not None:
            gid = grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise PrivilegeDropFailed(user or group or "", "no such user or group") from error
    return uid, gid
