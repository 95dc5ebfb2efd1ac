"""Check the permissions of files that rrdns reads as root, and of the folder of its store.

A file that root reads decides what runs as root. So rrdns' user must not be able to change such a
file, or a folder on the path to it. Links on the path count, too.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_LINKS = 40  # on one path, as the kernel allows (path_resolution(7))


@dataclass(frozen=True, slots=True)
class Identity:
    """The user and groups that rrdns changes to."""

    user: str
    uid: int
    gids: frozenset[int]


def identity_of(user: str | None, group: str | None) -> Identity | None:
    """Return the identity that rrdns changes to; None if it changes none, or a name is unknown."""
    try:
        entry = pwd.getpwnam(user) if user else None
        gids = {grp.getgrnam(group).gr_gid} if group else set()
    except KeyError:
        return None
    if entry is None or entry.pw_uid in {0, os.geteuid()}:
        return None
    gids |= set(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Identity(entry.pw_name, entry.pw_uid, frozenset(gids - {0}))


def changeable(path: Path, who: Identity) -> str:
    """Return why a user could change a file, and the remedy; empty if the user cannot.

    A file that does not exist can be made by a user that may write to its folder.
    """
    for step, found in _way(path):
        why = _why_writable(found, who)
        if not why:
            continue
        if stat.S_ISDIR(found.st_mode) and step != path:
            return f'is in the folder "{step}", which {why}; {_remedy(step, found, who)}'
        here = "" if step == path else f'leads to "{step}", which '
        return f"{here}{why}; {_remedy(step, found, who)}"
    return ""


def unfit_state(store: Path, who: Identity) -> str:
    """Return why the folder of a store, or a file in it, cannot be used, and the remedy.

    rrdns changes the owner of a folder only if it made the folder itself. A folder that exists must
    belong to the user already, with all files of the store.
    """
    folder = store.parent
    try:
        found = folder.stat()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f'cannot be used: "{folder}" cannot be read ({error.strerror})'
    if not stat.S_ISDIR(found.st_mode):
        return f'cannot be used: "{folder}" is not a folder'
    if found.st_uid != who.uid:
        return (
            f'is in "{folder}", which belongs to {_name(found.st_uid)}; rrdns changes the owner '
            "only of a folder that it made. Choose an own folder, or, if it has no other "
            f"files: chown -R {who.user}: {folder} && chmod 700 {folder}"
        )
    if found.st_mode & 0o022:
        return (
            f'is in "{folder}", where other users may write, and so replace its files; '
            f"chmod 700 {folder}"
        )
    for file in sorted(folder.glob(f"{store.stem}.*")):
        owner = file.lstat().st_uid
        if owner != who.uid:
            return f'needs "{file}", which belongs to {_name(owner)}; chown {who.user}: {file}'
    return ""


def program_of(command: list[str]) -> Iterator[Path]:
    """Return the program that a command runs, and the files among its arguments."""
    if not command:
        return
    program = command[0] if "/" in command[0] else shutil.which(command[0])
    if program:
        yield Path(program)
    for word in command[1:]:
        if word.startswith("/") and Path(word).is_file():
            yield Path(word)


def _way(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Return all folders, links and files on the path to a file."""
    left = list(path.absolute().parts)
    here, links = Path(left.pop(0)), 0
    yield here, here.stat()
    while left:
        step = left.pop(0)
        if step == "..":
            here = here.parent
            continue
        try:
            found = (here / step).lstat()
        except OSError:  # it does not exist: the folder before it decides who can make it
            return
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > MAX_LINKS:
                return
            target = (here / step).readlink()
            left = [*(target.parts[1:] if target.is_absolute() else target.parts), *left]
            here = Path("/") if target.is_absolute() else here
            continue
        here = here / step
        yield here, found


def _why_writable(found: os.stat_result, who: Identity) -> str:
    if found.st_uid == who.uid:
        return f"belongs to {who.user}"
    # In a folder like /tmp only its owner may replace a file (the sticky bit, chmod(2)).
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return ""
    if found.st_mode & stat.S_IWOTH:
        return "every user may write"
    if found.st_mode & stat.S_IWGRP and found.st_gid in who.gids:
        return f"{who.user}'s group may write"
    return ""


def _remedy(step: Path, found: os.stat_result, who: Identity) -> str:
    if found.st_uid == who.uid:
        return f"{who.user} could become root with it: chown root: {step}"
    return f"{who.user} could become root with it: chmod go-w {step}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
