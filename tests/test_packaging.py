"""What is shipped beside the code holds: locks, examples in documents, unit, ways in."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import typer
import typer.core
import typer.main

import rrdns
import rrdns.config
from rrdns.cli.main import app
from rrdns.errors import ConfigInvalid
from tests.peers import ROOT, peer

PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
LOCKS = tuple(sorted((ROOT / "requirements").glob("*.txt")))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def examples(page: Path, language: str) -> list[str]:
    """Return the page's code blocks that are marked as being in the language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Return what follows `rrdns` in each command of the pages' console blocks."""
    blocks = "\n".join(block for page in PAGES for block in examples(page, "console"))
    lines = [line.split("#")[0].strip() for line in blocks.splitlines()]
    found = (re.search(r"(?:.* )?(?<![-\w/])rrdns ([a-z].*)", line) for line in lines)
    return sorted({re.split(r" (?:>|\||&&) ", match[1])[0] for match in found if match})


def run(*args: str | Path) -> str:
    """Run a checker; fail with all that it says when it is not content."""
    done = subprocess.run(
        args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def locked(path: Path) -> dict[str, str]:
    """Return the versions that a lock file names, by normalised package name."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", path.read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def wanted(requirements: Sequence[str]) -> Iterator[str]:
    """Return the normalised names in requirements like those of pyproject.toml."""
    for requirement in requirements:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name is not None
        yield re.sub(r"[-_.]+", "-", name[0]).lower()


def test_the_version_is_the_same_in_the_code_the_package_and_the_changelog() -> None:
    """A tag of this commit can have the version's name."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[(.*?)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert newest is not None
    assert PROJECT["version"] == rrdns.__version__ == newest[1]


def test_every_dependency_is_locked_to_a_version_with_its_hashes() -> None:
    """`make lock` has been run since the last change of the dependencies."""
    shipped, developed = (locked(ROOT / "requirements" / name) for name in ("run.txt", "dev.txt"))
    assert set(wanted(PROJECT["dependencies"])) <= shipped.keys()
    assert set(wanted(PROJECT["optional-dependencies"]["dev"])) <= developed.keys()
    for path in LOCKS:
        entries = re.split(r"^(?=[A-Za-z0-9])", path.read_text(), flags=re.MULTILINE)[1:]
        assert entries
        assert all("--hash=sha256:" in entry for entry in entries)


def test_what_is_shipped_is_what_was_tested() -> None:
    """The image's and the build's versions are those of the tests' environment."""
    developed = locked(ROOT / "requirements" / "dev.txt")
    for name in ("run.txt", "build.txt"):
        assert locked(ROOT / "requirements" / name).items() <= developed.items()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_file_names_no_registry(path: Path) -> None:
    """Where packages come from is the machine's own affair."""
    assert not re.search(r"://|^-|^--(index|find|extra)", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    """Each relative link names a file that exists."""
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name in {"architecture.md", "CONTRIBUTING.md"}],
    ids=lambda page: page.name,
)
def test_the_files_that_the_map_of_the_code_names_exist(page: Path) -> None:
    """A path is given from the root, or from `rrdns/`."""
    paths = re.findall(r"`([a-z0-9_]+/[a-z0-9_/]*(?:\.[a-z]+)?)`", page.read_text())
    assert len(paths) > 10
    missing = [
        path for path in paths if not any((root / path).exists() for root in (ROOT, ROOT / "rrdns"))
    ]
    assert missing == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if examples(page, "toml")], ids=lambda page: page.name
)
def test_the_configs_in_the_pages_are_valid(page: Path) -> None:
    """A reader who copies an example gets a config without a mistake.

    What has no zone of its own is to be added to the README's config.
    """
    whole = examples(ROOT / "README.md", "toml")[0]
    for number, text in enumerate(examples(page, "toml")):
        example = text if "[[zones]]" in text else f"{whole}\n{text}"
        try:
            # The files that it names are the reader's.
            settings = rrdns.config.parse(example, str(number), with_files=False)
        except ConfigInvalid as error:
            pytest.fail(str(error))
        assert settings.pools


def test_the_zone_example_is_a_delegation_that_bind_accepts(tmp_path: Path) -> None:
    """The two lines, in an otherwise common parent zone, delegate with glue."""
    (lines,) = examples(ROOT / "docs/delegation.md", "zone")
    zone = tmp_path / "corp.example.zone"
    head = "$TTL 3600\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n  IN NS ns\nns IN A 10.0.0.1\n"
    zone.write_text(head + lines)
    said = run(peer("named-checkzone"), "-i", "full-sibling", "-D", "corp.example", zone)
    assert re.search(
        r"^pvs\.corp\.example\.\s.*NS\s+ns1\.pvs\.corp\.example\.$", said, re.MULTILINE
    )
    assert re.search(r"^ns1\.pvs\.corp\.example\.\s.*A\s+10\.0\.0\.53$", said, re.MULTILINE)


def test_the_bind_example_passes_its_checker(tmp_path: Path) -> None:
    """named-checkconf accepts the example as a whole named.conf."""
    (text,) = examples(ROOT / "docs/delegation.md", "named")
    path = tmp_path / "named.conf"
    path.write_text(text)
    run(peer("named-checkconf"), path)


def test_the_unbound_example_passes_its_checker(tmp_path: Path) -> None:
    """unbound-checkconf accepts the example as a whole unbound.conf."""
    (text,) = examples(ROOT / "docs/delegation.md", "unbound")
    path = tmp_path / "unbound.conf"
    path.write_text(
        f'server:\n    chroot: ""\n    username: ""\n    directory: "{tmp_path}"\n{text}'
    )
    assert "no errors" in run(peer("unbound-checkconf"), path)


def test_systemd_accepts_the_unit_without_a_warning(tmp_path: Path) -> None:
    """Every setting is known, and the program may be anywhere."""
    text = (ROOT / "conf/rrdns.service").read_text()
    assert "Type=notify\n" in text
    unit = tmp_path / "rrdns.service"
    unit.write_text(text.replace("/opt/rrdns/bin/rrdns", "/bin/true"))
    assert run(peer("systemd-analyze"), "verify", "--man=no", unit).strip() == ""


def test_systemd_finds_the_unit_well_guarded(tmp_path: Path) -> None:
    """The exposure that systemd computes (0 best, 10 worst) stays low."""
    unit = tmp_path / "rrdns.service"
    unit.write_text((ROOT / "conf/rrdns.service").read_text())
    run(peer("systemd-analyze"), "security", "--offline=true", "--threshold=20", "--no-pager", unit)


def test_the_makefile_and_ci_offer_the_ways_in() -> None:
    """Every target that the documents and CI name exists."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    sources = [(ROOT / ".ci/run").read_text(), *(page.read_text() for page in PAGES)]
    named = {
        name
        for text in sources
        for name in re.findall(r"^(?:\S+ \{ .*)?make ([a-z-]+)", text, re.MULTILINE)
    }
    assert {"demo", "test"} <= named
    assert named <= targets


@pytest.mark.parametrize("command", commands())
def test_the_commands_in_the_pages_are_understood(command: str) -> None:
    """Each verb exists and takes the options and arguments that the page gives it."""
    verb, *options = shlex.split(command)
    program = typer.main.get_command(app)
    with program.make_context("rrdns", [verb]) as context:
        assert isinstance(program, typer.core.TyperGroup)
        found = program.get_command(context, verb)
        assert found is not None
        found.make_context(verb, options, parent=context)


def test_what_is_built_with_outlives_the_environment_that_is_active() -> None:
    """`make` in an activated .venv makes that anew, so its own Python is not there to do it."""
    inside = Path(sys.prefix, "bin")
    assert sys.prefix != sys.base_prefix
    environment = {"PATH": f"{inside}:{os.environ['PATH']}"}
    done = subprocess.run(
        [ROOT / "tools/python"], env=environment, capture_output=True, text=True, check=True
    )
    found = Path(done.stdout.strip())
    assert found.is_file()
    assert Path(sys.prefix) not in found.parents
