"""The command line as a whole, and the verbs that need no server."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import tomli
import typer

from rrdns import __version__
from rrdns.cli.main import app, main
from rrdns.cli.run import demo
from rrdns.cli.terminal.durations import clock_time, format_duration
from rrdns.cli.terminal.errors import CliError
from rrdns.config import Settings, load
from rrdns.errors import ListenFailed
from rrdns.service.processes import launch
from tests.cli.conftest import Run
from tests.cli.terminal import on_a_terminal
from tests.test_config import EXAMPLE, SOUND
from tests.web.certificates import make_pair

VERBS = (
    *("serve", "check-config", "token", "demo"),
    *("status", "top", "explain", "drain", "resume", "force", "audit"),
    *("probe", "query", "boot", "dhcp", "delegation"),
)
HEAVY = ("aiohttp", "pydantic", "dnslib", "rich", "asyncio", "structlog", "prometheus_client")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a sound config."""
    path = tmp_path / "rrdns.toml"
    path.write_text(SOUND)
    return path


def test_help_names_every_verb(rrdns: Run) -> None:
    """And what the exit status means."""
    result = rrdns("--help")
    assert result.exit_code == 0
    assert all(re.search(rf"^  {verb} ", result.stdout, re.MULTILINE) for verb in VERBS)
    assert "2 wrong usage or config" in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_examples(rrdns: Run, verb: str) -> None:
    """A line that can be copied."""
    result = rrdns(verb, "--help")
    assert result.exit_code == 0
    assert re.search(rf"For example:\n\n +rrdns {verb}", result.stdout)


def test_help_loads_nothing_that_it_does_not_need() -> None:
    """That is what keeps it quick, on any machine."""
    code = f"import sys, rrdns.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_told(rrdns: Run) -> None:
    """As the package has it."""
    assert rrdns("--version").stdout == f"rrdns {__version__}\n"


@pytest.mark.parametrize("args", [["sattus"], ["--colour"], ["force"], ["status", "--for"]])
def test_wrong_use_is_told_on_standard_error(rrdns: Run, args: list[str]) -> None:
    """Exit status 2, and where help is."""
    result = rrdns(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "-h' for help" in result.stderr


# check-config


def test_a_sound_config_is_told_to_be_right(rrdns: Run, config: Path) -> None:
    """With the worst case of each pool, and what it is made of."""
    result = rrdns("check-config", config)
    assert result.exit_code == 0, result.output
    assert f"{config} is valid: 1 zone, 1 pool, 2 members, 0 tokens." in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.startswith("boot "))
    assert row.split() == (
        ["boot", "boot.pvs.example.test", "pvs-1,", "pvs-2", "5", "s", "4.4", "s", "9.4", "s"]
    )
    assert (
        "boot: 4.40 s detection (1 s interval + 1 s timeout + 2 x (0.2 s pause + 1 s timeout)) "
        "+ 0.01 s publication + 5 s TTL = 9.41 s"
    ) in result.stdout


def test_seven_mistakes_end_with_status_2(rrdns: Run, config: Path) -> None:
    """All on standard error, each with its place."""
    text = SOUND.replace('"10.0.0.12"', '"10.0.0.11"').replace("[dns]", "[dns]\nport = 1")
    text = text.replace('hostname = "boot.pvs', 'ttl = "5"\nanswers = 29\nhostname = "boot.pvz')
    text = text.replace('files = ["ARDBP32.BIN"]', "files = []").replace("hostmaster =", "master =")
    config.write_text(text)
    result = rrdns("check-config", config)
    assert result.exit_code == 2
    assert result.stdout == ""
    places = [line.split(":")[0] for line in result.stderr.splitlines()[1:-1]]
    assert {place.strip() for place in places} == {
        "dns.port",
        "zones[0].hostmaster",
        "zones[0].master",
        "pools[0].ttl",
        "pools[0].answers",
        "pools[0].hostname",
        "pools[0].probe.files",
        "pools[0].members[1].address",
    }
    told = json.loads(rrdns("check-config", config, "--json").stdout)
    assert told["ok"] is False
    assert len(told["mistakes"]) == 8
    assert rrdns("check-config", config, "--json").exit_code == 2


def test_a_script_gets_the_worst_case_as_a_number(rrdns: Run) -> None:
    """Of the example, too."""
    told = json.loads(rrdns("check-config", EXAMPLE, "--json").stdout)
    assert told["ok"] is True
    [pool] = told["pools"]
    assert pool["worst_case"] == pytest.approx(pool["detection"] + pool["publish"] + pool["ttl"])


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (SOUND.rpartition("[[pools.members]]")[0], "pool boot has one member"),
        (SOUND.replace('name = "pvs-', 'backup = true\nname = "pvs-'), "only backup members"),
        (SOUND + '[store]\nbackend = "memory"', "lost when rrdns stops"),
        (
            SOUND
            + '[[zones]]\nname = "x.test"\nhostmaster = "h.x"\nnameservers = [{name = "n.y"}]',
            "zone x.test has no pool in it",
        ),
    ],
)
def test_what_may_not_be_meant_is_noted(rrdns: Run, config: Path, text: str, note: str) -> None:
    """A note is no mistake."""
    assert "Note: " not in rrdns("check-config", config).stdout
    config.write_text(text)
    result = rrdns("check-config", config)
    assert result.exit_code == 0
    assert note in result.stdout


def test_secrets_that_others_may_read_are_noted(rrdns: Run, config: Path, tmp_path: Path) -> None:
    """A token on the wire, a key on the disk."""
    pair, secret = make_pair(tmp_path), tmp_path / "chat.secret"
    secret.write_text("hush")
    token = f'[[api.tokens]]\nname = "ops"\nrole = "operator"\nsha256 = "{"a" * 64}"\n'
    api = f'{SOUND}[api]\nlisten = "0.0.0.0:8053"\n'
    config.write_text(api + token)
    assert "unencrypted (api.listen is 0.0.0.0:8053)" in rrdns("check-config", config).stdout
    tls = f'tls_cert = "{pair.certificate}"\ntls_key = "{pair.key}"\n'
    hook = f'[[webhooks]]\nname = "chat"\nurl = "http://127.0.0.1/"\nsecret_file = "{secret}"\n'
    config.write_text(api + tls + token + hook)
    for open_to in (pair.key, secret):
        pair.key.chmod(0o640)
        secret.chmod(0o600)
        assert "Note: " not in rrdns("check-config", config).stdout
        open_to.chmod(0o644)
        told = json.loads(rrdns("check-config", config, "--json").stdout)["notes"]
        advice = "chmod 640, and give it to a group for rrdns"
        assert told == [f"every user of this host can read {open_to}: {advice}"]
    config.write_text(SOUND + hook.replace(str(secret), "/nowhere"))
    assert "can read /nowhere" not in rrdns("check-config", config).stdout


def test_a_missing_config_is_wrong_use(rrdns: Run, tmp_path: Path) -> None:
    """For the service as for the check."""
    for args in (["check-config", tmp_path / "no"], ["serve", "--config", tmp_path / "no"]):
        result = rrdns(*args)
        assert result.exit_code == 2
        assert "cannot be read: No such file or directory" in result.stderr


# token


def test_a_token_is_made_with_its_line_for_the_config(rrdns: Run, tmp_path: Path) -> None:
    """The snippet is the hash of the token, and a config takes it as it is."""
    result = rrdns("token", "--name", "night-shift", "--role", "viewer")
    secret = result.stdout.splitlines()[2].strip()
    snippet = result.stdout[result.stdout.index("[[api.tokens]]") :].partition("\n\n")[0]
    [table] = tomli.loads(snippet)["api"]["tokens"]
    assert table == {
        "name": "night-shift",
        "role": "viewer",
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
    }
    path = tmp_path / "rrdns.toml"
    path.write_text(f"{SOUND}\n{snippet}")
    assert load(path).api.tokens[0].name == "night-shift"


def test_no_two_tokens_are_alike(rrdns: Run) -> None:
    """256 random bits each, and JSON has the same four facts."""
    made = [json.loads(rrdns("token", "--json").stdout) for _ in range(2)]
    assert made[0]["token"] != made[1]["token"]
    assert len(made[0]["token"]) == 43
    assert {name: made[0][name] for name in ("name", "role")} == {"name": "ops", "role": "operator"}
    assert made[0]["sha256"] == hashlib.sha256(made[0]["token"].encode()).hexdigest()


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--role", "opeator"], 'must be "viewer", "operator" or "admin" (did you mean operator?)'),
        (["--name", "two words"], "--name is"),
    ],
)
def test_a_token_with_a_wrong_role_or_name_is_not_made(
    rrdns: Run, args: list[str], part: str
) -> None:
    """The config would refuse it."""
    result = rrdns("token", *args)
    assert result.exit_code == 2
    assert part in result.stderr


# serve


def test_serving_hands_settings_and_path_to_the_service(
    rrdns: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit status is the command's."""
    given: list[tuple[Settings, Path]] = []

    def run(settings: Settings, path: Path) -> int:
        given.append((settings, path))
        return 3

    monkeypatch.setattr(launch, "run", run)
    assert rrdns("serve", "--config", config).exit_code == 3
    assert given == [(load(config), config)]


def test_a_service_that_cannot_start_says_why(
    rrdns: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, exit status 1."""

    def run(settings: Settings, path: Path) -> int:
        raise ListenFailed("DNS over UDP", "127.0.0.1:53", "permission denied")

    monkeypatch.setattr(launch, "run", run)
    result = rrdns("serve", "--config", config)
    assert result.exit_code == 1
    assert result.stderr.startswith("rrdns: cannot listen for DNS over UDP on 127.0.0.1:53: perm")


def test_what_the_system_refuses_is_told(
    rrdns: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the path that it is about, where there is one."""
    errors = [PermissionError(13, "Permission denied", "/var/lib/rrdns"), OSError(24, "Too many")]

    def run(settings: Settings, path: Path) -> int:
        raise errors.pop(0)

    monkeypatch.setattr(launch, "run", run)
    first, second = rrdns("serve", "--config", config), rrdns("serve", "--config", config)
    assert first.stderr == "rrdns: /var/lib/rrdns: permission denied\n"
    assert second.stderr == "rrdns: too many\n"
    assert first.exit_code == second.exit_code == 1


def test_a_defect_of_the_service_goes_to_its_log(
    rrdns: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the traceback: nobody sits at the terminal of a service."""
    logged = []

    class Log:
        def critical(self, event: str, *, exc_info: bool) -> None:
            logged.append((event, exc_info))

    def run(settings: Settings, path: Path) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(launch, "run", run)
    monkeypatch.setattr("rrdns.service.runtime.log_setup.get_log", Log)
    assert rrdns("serve", "--config", config).exit_code == 1
    assert logged == [("the supervisor failed", True)]


@pytest.mark.parametrize("script", [True, False])
def test_the_demo_is_told_whether_to_play_by_itself(
    rrdns: Run, monkeypatch: pytest.MonkeyPatch, script: bool
) -> None:
    """Its exit status is the command's."""
    given = []

    def run(script: bool) -> int:
        given.append(script)
        return 1

    monkeypatch.setattr(demo, "run", run)
    assert rrdns("demo", *(["--script"] if script else [])).exit_code == 1
    assert given == [script]


# trouble


def test_a_defect_is_a_sentence_and_shows_where_only_on_request(
    rrdns: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback for those who cannot mend it."""

    def broken(path: Path) -> Settings:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("rrdns.config.load", broken)
    result = rrdns("check-config", config)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "rrdns: rrdns has a bug (ZeroDivisionError: by zero)",
        "  -> run it with RRDNS_DEBUG=1 for a traceback",
    ]
    assert "Traceback" in rrdns("check-config", config, env={"RRDNS_DEBUG": "1"}).stderr


def test_trouble_is_told_with_what_to_do(rrdns: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence, an advice, a status; without advice no empty line."""

    def trouble(path: Path) -> Settings:
        raise CliError("it is so", status=2)

    monkeypatch.setattr("rrdns.config.load", trouble)
    result = rrdns("check-config", "x")
    assert (result.exit_code, result.stderr) == (2, "rrdns: it is so\n")


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    """As in `rrdns check-config FILE | head -1`, with the pipe closed before anything is said."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "rrdns", "check-config", EXAMPLE],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("args", "status"), [(("check-config", EXAMPLE), 0), (("--help",), 0), (("sattus",), 2)]
)
def test_streams_that_the_caller_has_closed_are_no_defect(
    args: tuple[object, ...], status: int
) -> None:
    """As in `rrdns drain pvs-1 <&- >&- 2>&-`, which a cron job may well say."""
    run = '"$0" -m rrdns "$@" <&- >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", run, sys.executable, *map(str, args)], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")


@pytest.mark.parametrize("args", [("check-config", EXAMPLE), ("--help",), ("drain", "--help")])
def test_what_cannot_be_written_is_a_sentence(args: tuple[object, ...]) -> None:
    """A full disk is no traceback, whoever meets it."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rrdns", *map(str, args)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"rrdns: no space left on device\n")


def test_ctrl_c_before_there_is_a_verb_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is the shell's for it."""

    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rrdns.cli.main.app", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


def test_colours_appear_on_a_terminal_unless_refused() -> None:
    """NO_COLOR is respected (no-color.org), and a pipe gets none."""
    uncoloured, _ = on_a_terminal("check-config", EXAMPLE, env={"NO_COLOR": "1"})
    assert re.search(rb"\x1b\[[\d;]*3\d", on_a_terminal("check-config", EXAMPLE)[0])
    assert not re.search(rb"\x1b\[[\d;]*3\d", uncoloured)
    piped = subprocess.run(
        [sys.executable, "-m", "rrdns", "check-config", EXAMPLE], capture_output=True, check=True
    )
    assert b"\x1b" not in piped.stdout


def test_the_verbs_of_the_contract_are_all_there() -> None:
    """Others script against them."""
    group = typer.main.get_group(app)
    assert set(group.list_commands(typer.Context(group))) == {*VERBS, "lab"}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7200, "2 h"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations_are_told_in_their_largest_units(seconds: float, words: str) -> None:
    """Two at most."""
    assert format_duration(seconds) == words


def test_a_time_of_another_day_has_its_date() -> None:
    """Today's is the clock alone."""
    now = datetime(2026, 1, 31, 12, 0, 0).astimezone().timestamp()
    assert clock_time(now + 60, now) == "12:01:00"
    assert clock_time(now + 86400, now) == "2026-02-01 12:00:00"
