"""Who becomes another user gives away what it made, and nothing that root reads or runs."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from rrdns.config.ownership import Identity, changeable, identity_of, program_of, unfit_state
from rrdns.errors import StoreFailed
from rrdns.service.runtime import privileges
from tests.peers import need_root

NOBODY = pwd.getpwnam("nobody")
WHO = Identity("nobody", NOBODY.pw_uid, frozenset({NOBODY.pw_gid}))
PROGRAM = """
import sys
from pathlib import Path
from rrdns.errors import RrdnsError
from rrdns.service.runtime.privileges import (
    acting_as, drop_privileges, prepare_state_folder,
)
try:
    account = prepare_state_folder("nobody", None, Path(sys.argv[1]))
    with acting_as(account):
        assert not account.uid or account.is_ours
    drop_privileges(account)
    drop_privileges(account)
    assert account.is_ours
except RrdnsError as error:
    sys.exit(str(error))
"""


def drop_to_nobody(store: Path) -> str:
    """Become nobody; return why not."""
    need_root("becoming somebody else")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(store)], capture_output=True, text=True, check=False
    )
    return done.stderr.strip()


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.iterdir())}


def test_a_folder_that_is_not_there_is_made_for_the_user_alone(open_folder: Path) -> None:
    """What was made on the way to it stays root's."""
    store = open_folder / "deep" / "state" / "rrdns.db"
    assert drop_to_nobody(store) == ""
    made = store.parent.stat()
    assert (made.st_uid, made.st_mode & 0o777) == (NOBODY.pw_uid, 0o700)
    above = store.parent.parent.stat()
    assert (above.st_uid, above.st_mode & 0o777) == (0, 0o755)
    assert drop_to_nobody(store) == "", "the second start finds its own folder"


def test_a_folder_of_somebody_else_is_refused_and_stays_as_it_was(open_folder: Path) -> None:
    """As with the store in /var/lib, or beside the config: all of it was given away."""
    for name in ("rrdns.toml", "rrdns.key", "rrdns.db", "dpkg"):
        (open_folder / name).touch()
    why = drop_to_nobody(open_folder / "rrdns.db")
    assert f"chown -R nobody: {open_folder} && chmod 700 {open_folder}" in why
    assert owners(open_folder) == {0}


def test_a_file_of_somebody_else_in_the_folder_is_refused(open_folder: Path) -> None:
    """Also a link, whatever it leads to: nothing behind one is ever given away."""
    folder = open_folder / "state"
    assert drop_to_nobody(folder / "rrdns.db") == ""
    elsewhere = open_folder / "shadow"
    elsewhere.touch()
    link = folder / "rrdns.db-wal"
    link.symlink_to(elsewhere)
    (folder / "rrdns.last-good.db").touch()
    assert "chown nobody: " in drop_to_nobody(folder / "rrdns.db")
    assert {elsewhere.stat().st_uid, link.lstat().st_uid} == {0}


def test_a_folder_where_others_may_write_is_refused(open_folder: Path) -> None:
    """They could put a store of theirs in place of ours."""
    need_root("a folder of somebody else's")
    folder = open_folder / "state"
    assert drop_to_nobody(folder / "rrdns.db") == ""
    folder.chmod(0o777)
    assert f"chmod 700 {folder}" in drop_to_nobody(folder / "rrdns.db")


def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path) -> None:
    """The service does not start, so its only words must do."""
    (tmp_path / "state").touch()
    store = tmp_path / "state" / "rrdns.db"
    with pytest.raises(StoreFailed) as caught:
        privileges._make_folder(store, 0, 0)
    assert str(caught.value).startswith(f"the store {store} could not have its folder made: ")
    assert f"make {store.parent} and give it to rrdns' user" in str(caught.value)
    assert "is not a folder" in unfit_state(store, WHO)
    assert "cannot be read" in unfit_state(store / "deeper" / "rrdns.db", WHO)


@pytest.mark.parametrize("how", ["own", "everybody", "group", "folder", "link", "gone"])
def test_what_the_user_can_change_is_known(open_folder: Path, how: str) -> None:
    """The file itself, a folder on the way, and what a link leads through."""
    need_root("files of somebody else's")
    file = open_folder / "tell"
    theirs = open_folder / "theirs"
    theirs.mkdir()
    if how != "gone":
        file.touch()
    assert changeable(file, WHO) == ""
    match how:
        case "own":
            _chown(file, NOBODY.pw_uid)
        case "everybody":
            file.chmod(0o646)
        case "group":
            _chown(file, 0, NOBODY.pw_gid)
            file.chmod(0o664)
        case "folder":
            _chown(open_folder, NOBODY.pw_uid)
        case "link":
            _chown(theirs, NOBODY.pw_uid)
            (theirs / "tell").touch()
            file.unlink()
            file.symlink_to("gone-through/../theirs/tell")
            (open_folder / "gone-through").mkdir()
        case _:
            _chown(open_folder, 0, NOBODY.pw_gid)
            open_folder.chmod(0o775)
    why = changeable(file, WHO)
    assert "could become root with it: ch" in why, why


def test_a_link_that_leads_in_a_circle_ends(tmp_path: Path) -> None:
    """Whoever reads it gets an error then, and no other file."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert changeable(tmp_path / "a", WHO) == ""


def test_a_folder_like_tmp_keeps_its_files_safe(tmp_path: Path) -> None:
    """The sticky bit: only a file's owner may take it away there."""
    need_root("a folder of root's")
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "rrdns.toml").touch()
    assert changeable(folder / "rrdns.toml", WHO) == ""


def test_only_another_user_than_root_and_oneself_is_looked_at() -> None:
    """Where rrdns stays who it is, nobody gains anything."""
    assert identity_of(None, None) is None
    assert identity_of("root", None) is None
    assert identity_of("no-such-user", None) is None
    assert identity_of(None, "no-such-group") is None
    if os.geteuid() != NOBODY.pw_uid:
        known = identity_of("nobody", None)
        assert known is not None
        assert known.uid == NOBODY.pw_uid


def test_a_command_is_looked_at_with_the_files_that_it_is_given(tmp_path: Path) -> None:
    """`sh /path/script` runs the script."""
    script = tmp_path / "tell.sh"
    script.touch()
    assert list(program_of(["sh", str(script), "-x", "/no/such"]))[1:] == [script]
    assert list(program_of(["/bin/true"])) == [Path("/bin/true")]
    assert list(program_of(["no-such-program-anywhere"])) == []
    assert list(program_of([])) == []


def _chown(path: Path, uid: int, gid: int = 0) -> None:
    os.chown(path, uid, gid)
