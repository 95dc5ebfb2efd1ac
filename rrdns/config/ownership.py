"""Tell who could change a file, and whether a folder may hold what rrdns keeps.

What rrdns reads as root decides what runs as root. So the user that it becomes must be able to
change neither those files nor any folder on the way to them; the way through links counts too.
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

MAX_LINKS = 40  # followed on one way, as the kernel does (path_resolution(7))


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom rrdns becomes."""

    user: str
    uid: int
    gids: frozenset[int]


def identity_of(user: str | None, group: str | None) -> Identity | None:
    """Return whom rrdns becomes; None where it stays who it is, or nobody knows that name."""
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
    """Return why somebody could change a file, and what mends it; empty when they cannot.

    A file that is not there can be made by who may write in the folder that is there.
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
    """Return why the folder of a store, or a file of it there, cannot be used, and what mends it.

    Only a folder that rrdns makes itself is given away. One that is there must be the user's own
    already, and so must all that rrdns keeps in it.
    """
    folder = store.parent
    try:
        found = folder.stat()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f'cannot be used: "{folder}" cannot be looked at ({error.strerror})'
    if not stat.S_ISDIR(found.st_mode):
        return f'cannot be used: "{folder}" is no folder'
    if found.st_uid != who.uid:
        return (
            f'is in "{folder}", which belongs to {_name(found.st_uid)}, and rrdns gives no folder '
            f"away that it has not made; choose one of its own, or, if it holds nothing else: "
            f"chown -R {who.user}: {folder} && chmod 700 {folder}"
        )
    if found.st_mode & 0o022:
        return (
            f'is in "{folder}", where others may write, and so take its files away; '
            f"chmod 700 {folder}"
        )
    for file in sorted(folder.glob(f"{store.stem}.*")):
        told = file.lstat()
        if told.st_uid != who.uid:
            return (
                f'needs "{file}", which belongs to {_name(told.st_uid)}; chown {who.user}: {file}'
            )
    return ""


def program_of(command: list[str]) -> Iterator[Path]:
    """Return the program that a command runs, and the files that it is given by name."""
    if not command:
        return
    program = command[0] if "/" in command[0] else shutil.which(command[0])
    if program:
        yield Path(program)
    for word in command[1:]:
        if word.startswith("/") and Path(word).is_file():
            yield Path(word)


def _way(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Return all folders, links and files that are gone through to reach a file."""
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
        except OSError:  # what is not there can be made by who may write in the folder before
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
    # In a folder like /tmp each file is its owner's alone (the sticky bit, chmod(2)).
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return ""
    if found.st_mode & stat.S_IWOTH:
        return "everybody may write"
    if found.st_mode & stat.S_IWGRP and found.st_gid in who.gids:
        return f"{who.user}'s group may write"
    return ""


def _remedy(step: Path, found: os.stat_result, who: Identity) -> str:
    if found.st_uid == who.uid:
        return f"{who.user} could become root by it: chown root: {step}"
    return f"{who.user} could become root by it: chmod go-w {step}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
