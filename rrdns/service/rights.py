"""Give up what a DNS server does not need once its sockets are bound."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from rrdns.errors import RrdnsError
from rrdns.service.lifeline import refuse_new_rights

PRIVATE = 0o077


class CannotBecome(RrdnsError):
    """The user or group that the config names cannot be taken on."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot become {self.name!r}: {self.reason}"


def drop(user: str | None, group: str | None, state: Path | None) -> None:
    """Become the user and group, own the state folder, and gain no rights ever after.

    Raises:
        CannotBecome: there is no such user or group, or this process may not change.
        OSError: the state folder cannot be made.
    """
    os.umask(PRIVATE)
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
    if user is not None or group is not None:
        _become(user, group, state)
    refuse_new_rights()


def _become(user: str | None, group: str | None, state: Path | None) -> None:
    uid, gid = _ids(user, group)
    if (os.geteuid(), os.getegid()) == (uid, gid):
        return
    try:
        if state is not None:
            for path in (state, *state.iterdir()):
                os.chown(path, uid, gid)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    except PermissionError as error:
        reason = "only root may; start rrdns as root or leave [process] out"
        raise CannotBecome(user or group or "", reason) from error


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
