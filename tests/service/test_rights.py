"""Giving the store away gives nothing else away."""

from __future__ import annotations

import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rrdns.errors import StoreFailed
from rrdns.service import rights
from tests.peers import need_root

PROGRAM = """
import sys
from pathlib import Path
from rrdns.service.rights import drop
drop("nobody", None, Path(sys.argv[1]))
"""


def drop_to_nobody(store: Path) -> None:
    need_root("becoming somebody else")
    subprocess.run([sys.executable, "-c", PROGRAM, str(store)], check=True)


def test_the_user_gets_the_store_and_what_stands_beside_it(tmp_path: Path) -> None:
    """The folder too, or there could be no write-ahead log; other files stay whose they are."""
    ours = [tmp_path / name for name in ("rrdns.db", "rrdns.db-wal", "rrdns.last-good.db")]
    others = [tmp_path / name for name in ("other.db", "lost+found")]
    for path in (*ours, *others):
        path.touch()
    drop_to_nobody(tmp_path / "rrdns.db")
    nobody = pwd.getpwnam("nobody").pw_uid
    assert {path.stat().st_uid for path in (tmp_path, *ours)} == {nobody}
    assert {path.stat().st_uid for path in others} == {0}


def test_a_link_in_the_folder_gives_no_file_elsewhere_away(tmp_path: Path) -> None:
    """Else who may write there would own any file of the host after the next start."""
    elsewhere = tmp_path / "shadow"
    elsewhere.touch()
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "rrdns.db-wal").symlink_to(elsewhere)
    drop_to_nobody(folder / "rrdns.db")
    assert elsewhere.stat().st_uid == 0


def test_a_folder_of_everybody_stays_that(tmp_path: Path) -> None:
    """A store in a folder like /tmp."""
    tmp_path.chmod(0o777 | stat.S_ISVTX)
    drop_to_nobody(tmp_path / "rrdns.db")
    assert tmp_path.stat().st_uid == 0


def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path) -> None:
    """The service does not start, so its only words must do."""
    (tmp_path / "state").touch()
    store = tmp_path / "state" / "rrdns.db"
    with pytest.raises(StoreFailed) as caught:
        rights._make_folder(store)
    assert str(caught.value).startswith(f"the store {store} could not have its folder made: ")
    assert f"make {store.parent} and give it to rrdns' user" in str(caught.value)
