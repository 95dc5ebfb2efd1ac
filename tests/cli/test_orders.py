"""`rrdns drain`, `rrdns resume` and `rrdns audit`, against the real API."""

from __future__ import annotations

import json
import re
import time

import pytest

from rrdns.cli.admin.wait_until_safe import wait_until
from rrdns.core.model import OrderKind
from rrdns.core.roles import Role
from rrdns.timeformat import rfc3339
from rrdns.web.api.admin_service import MemberOrderResult
from tests.cli.conftest import Api, Run, api_of
from tests.cli.terminal import on_a_terminal
from tests.web.fake_admin_service import FakeAdminService
from tests.web.serving import SECRETS, TOKENS


def test_a_drain_tells_until_when_and_when_it_is_safe(rrdns: Run, api: Api) -> None:
    """Local times, with how far off they are."""
    result = rrdns("drain", "pvs-1", "--for", "2h", "--reason", "patch night", "--url", api.url)
    assert result.exit_code == 0, result.output
    drained, safe = result.stdout.splitlines()
    assert re.fullmatch(
        r"pvs-1 of pool boot is drained by local until [\d: -]+ "
        r"\(in (2 h|1 h 59 min|1 h 60 min)\)\.",
        drained,
    )
    assert re.fullmatch(r"Safe to work on it after [\d: -]+ \(in [0-5]\.\d s\)\.", safe)
    given = api.farm.orders["boot", "pvs-1"]
    assert (given.order, given.reason) == (OrderKind.DRAIN, "patch night")
    assert given.until == pytest.approx(api.farm.now + 7200, abs=1)


def test_a_drain_without_an_end_holds_until_it_is_resumed(rrdns: Run, api: Api) -> None:
    """And it says so."""
    result = rrdns("drain", "pvs-1", "--url", api.url)
    assert "is drained by local until you resume it." in result.stdout
    assert api.farm.orders["boot", "pvs-1"].until is None


def test_draining_twice_tells_that_it_was_drained_already(rrdns: Run, api: Api) -> None:
    """Nothing changes, and nothing fails."""
    rrdns("drain", "pvs-1", "--url", api.url)
    again = rrdns("drain", "pvs-1", "--url", api.url)
    assert again.exit_code == 0
    assert "was already drained by local" in again.stdout


def test_the_last_member_is_kept_unless_forced(rrdns: Run, api: Api) -> None:
    """Exit status 1, the reason, and what to do next."""
    api.farm.fall("boot", "pvs-2", "pvs-3")
    refused = rrdns("drain", "pvs-1", "--url", api.url)
    assert refused.exit_code == 1
    assert refused.stdout == ""
    sentence, advice = refused.stderr.splitlines()
    assert sentence.startswith("rrdns: 'pvs-1' is the last member in rotation of pool 'boot'")
    assert "--force" in advice
    assert rrdns("drain", "pvs-1", "--force", "--url", api.url).exit_code == 0
    assert ("boot", "pvs-1") in api.farm.orders


def test_a_name_in_two_pools_needs_the_pool(rrdns: Run, two_pools: FakeAdminService) -> None:
    """The candidates are named; nothing is drained by guess."""
    with api_of(two_pools) as api:
        result = rrdns("drain", "pvs-1", "--url", api.url)
        assert result.exit_code == 2
        assert "'pvs-1' is a member of several pools: boot, login" in result.stderr
        assert "--pool boot or --pool login" in result.stderr
        assert two_pools.orders == {}
        assert rrdns("drain", "pvs-1", "--pool", "login", "--url", api.url).exit_code == 0
        assert rrdns("drain", "pvs-3", "--url", api.url).exit_code == 0
    assert set(two_pools.orders) == {("login", "pvs-1"), ("boot", "pvs-3")}


def test_a_server_can_be_taken_out_of_all_its_pools_at_once(
    rrdns: Run, two_pools: FakeAdminService
) -> None:
    """One server often serves two boot files; it is rebooted once."""
    with api_of(two_pools) as api:
        assert ", or --all-pools for all" in rrdns("drain", "pvs-1", "--url", api.url).stderr
        drained = rrdns("drain", "pvs-1", "--all-pools", "--url", api.url)
        assert drained.exit_code == 0
        assert "pvs-1 of pool boot is drained by local" in drained.stdout
        assert "pvs-1 of pool login is drained by local" in drained.stdout
        assert set(two_pools.orders) == {("boot", "pvs-1"), ("login", "pvs-1")}
        assert rrdns("resume", "pvs-1", "--all-pools", "--url", api.url).exit_code == 0
        assert two_pools.orders == {}
        both = rrdns("drain", "pvs-1", "--all-pools", "--pool", "boot", "--url", api.url)
        assert (both.exit_code, two_pools.orders) == (2, {})
        unknown = rrdns("drain", "pvs-9", "--all-pools", "--url", api.url)
        assert (unknown.exit_code, unknown.stderr[:38]) == (
            2,
            "rrdns: no pool has a member 'pvs-9'; d",
        )


@pytest.mark.parametrize("verb", ["drain", "resume"])
def test_an_unknown_member_is_wrong_use(rrdns: Run, api: Api, verb: str) -> None:
    """With the nearest name that there is, or those that are equally near."""
    result = rrdns(verb, "psv-1", "--url", api.url)
    assert result.exit_code == 2
    assert "no pool has a member 'psv-1'" in result.stderr
    assert "did you mean 'pvs-1'?" in result.stderr
    unsure = rrdns(verb, "pvs-9", "--url", api.url).stderr
    assert "did you mean 'pvs-1' or 'pvs-2' or 'pvs-3'?" in unsure
    elsewhere = rrdns(verb, "psv-1", "--pool", "boot", "--url", api.url)
    assert elsewhere.exit_code == 2
    assert "pool 'boot' has no member 'psv-1'" in elsewhere.stderr


@pytest.mark.parametrize("lasting", ["2 weeks", "90", "-1h", "", "0s", "99999d"])
def test_a_time_that_means_nothing_is_refused_before_anybody_is_asked(
    rrdns: Run, lasting: str
) -> None:
    """No server is there, and none is missed."""
    result = rrdns("drain", "pvs-1", "--for", lasting, "--url", "http://127.0.0.1:1")
    assert result.exit_code == 2
    assert "--for" in result.stderr
    assert "reach" not in result.stderr


def test_a_script_gets_the_whole_reply(rrdns: Run, api: Api) -> None:
    """`safe_after` in UTC, as the API tells it."""
    done = json.loads(rrdns("drain", "pvs-1", "--json", "--url", api.url).stdout)
    assert done["changed"] is True
    assert done["member"]["why"] == "drained"
    assert done["safe_after"] == rfc3339(api.farm.now + 5)


def test_resuming_puts_a_member_back(rrdns: Run, api: Api) -> None:
    """It tells when there was nothing to lift, too."""
    rrdns("drain", "pvs-1", "--url", api.url)
    assert "is resumed, and in the answers" in rrdns("resume", "pvs-1", "--url", api.url).stdout
    assert api.farm.orders == {}
    again = rrdns("resume", "pvs-1", "--url", api.url)
    assert again.exit_code == 0
    assert "There was no order for pvs-1" in again.stdout
    assert (
        json.loads(rrdns("resume", "pvs-1", "--json", "--url", api.url).stdout)["changed"] is False
    )


def test_a_resumed_member_that_is_down_stays_out(rrdns: Run, api: Api) -> None:
    """The probes decide, and the command says so."""
    api.farm.fall("boot", "pvs-1")
    rrdns("drain", "pvs-1", "--url", api.url)
    assert "stays out for now: down" in rrdns("resume", "pvs-1", "--url", api.url).stdout


def test_waiting_ends_when_the_last_answer_has_expired() -> None:
    """Not before, and with no more than one sleep where nobody watches."""
    now, slept = 1_770_000_000.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    wait_until(rfc3339(now + 4.5), clock=lambda: now, sleep=sleep)
    assert slept == [pytest.approx(4.5, abs=0.002)]


def test_a_drain_can_wait(rrdns: Run, farm: FakeAdminService) -> None:
    """The command returns once it is safe, so that a script goes on then."""
    farm.now = time.time() - 4.7  # the farm says: safe 5 s after its now
    with api_of(farm) as api:
        result = rrdns("drain", "pvs-1", "--wait", "--url", api.url)
        assert time.time() >= farm.now + 5
        silent = rrdns("drain", "pvs-2", "--wait", "--json", "--url", api.url)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "It is safe now."
    assert json.loads(silent.stdout)["member"]["name"] == "pvs-2"


def test_the_audit_trail_is_told_oldest_first(rrdns: Run, api: Api) -> None:
    """Who, what, to whom, and why."""
    assert "has no entries that match" in rrdns("audit", "--url", api.url).stdout
    rrdns("drain", "pvs-1", "--reason", "patch night", "--url", api.url)
    rrdns("resume", "pvs-1", "--reason", "done", "--url", api.url)
    result = rrdns("audit", "--url", api.url)
    _, drained, resumed = result.stdout.splitlines()
    for part in ("local", "drain", "boot/pvs-1", "patch night"):
        assert part in drained
    assert "resume" in resumed
    newest = rrdns("audit", "--limit", "1", "--url", api.url).stdout.splitlines()
    assert "resume" in newest[1]
    assert newest[2].startswith("Older entries: rrdns audit --before ")


def test_the_audit_trail_can_be_filtered_and_read_by_scripts(rrdns: Run, api: Api) -> None:
    """The filters go to the API."""
    rrdns("drain", "pvs-1", "--url", api.url)
    rrdns("drain", "pvs-2", "--url", api.url)
    told = json.loads(rrdns("audit", "--member", "pvs-2", "--json", "--url", api.url).stdout)
    assert [entry["member"] for entry in told["entries"]] == ["pvs-2"]


@pytest.mark.parametrize("options", [("--limit", "5"), ("--before", "9"), ("--limit", "20")])
def test_an_export_is_of_all_and_says_so(rrdns: Run, options: tuple[str, ...]) -> None:
    """What is asked for and not done is refused, before anybody is asked."""
    told = rrdns("audit", "--export", *options, "--url", "http://127.0.0.1:1")
    assert (told.exit_code, told.stdout) == (2, "")
    assert "--export writes all entries" in told.stderr


@pytest.mark.parametrize(
    ("args", "what"), [(("", "--pool", "boot"), "member"), (("x", "--pool", ""), "pool")]
)
def test_an_empty_name_is_told_as_such(
    rrdns: Run, api: Api, args: tuple[str, ...], what: str
) -> None:
    """As a script's variable that is not set comes out."""
    told = rrdns("drain", *args, "--url", api.url)
    assert told.exit_code == 2
    assert f"the {what}'s name is empty" in told.stderr
    assert "check the variables of your script" in told.stderr


def test_a_token_is_sent_and_its_lack_explained(rrdns: Run, farm: FakeAdminService) -> None:
    """401 with and without a token, and 403 for a role that may not."""
    with api_of(farm, tokens=TOKENS) as api:
        without = rrdns("status", "--url", api.url)
        wrong = rrdns("status", "--url", api.url, "--token", "guess")
        viewer = rrdns("drain", "pvs-1", "--url", api.url, "--token", SECRETS[Role.VIEWER])
        env = {"RRDNS_TOKEN": SECRETS[Role.OPERATOR], "RRDNS_URL": api.url}
        operator = rrdns("drain", "pvs-1", env=env)
    assert (without.exit_code, wrong.exit_code, viewer.exit_code) == (1, 1, 1)
    assert "--token or RRDNS_TOKEN" in without.stderr
    assert "does not know the token" in wrong.stderr
    assert "viewer" in viewer.stderr
    assert operator.exit_code == 0
    assert farm.orders["boot", "pvs-1"].by == "operator-token"


def test_a_store_that_fails_changes_nothing_and_says_so(rrdns: Run, api: Api) -> None:
    """The order is refused with the reason."""
    api.farm.store_is_broken = True
    result = rrdns("drain", "pvs-1", "--url", api.url)
    assert result.exit_code == 1
    assert "the disk is full" in result.stderr
    assert api.farm.orders == {}


def test_a_drain_counts_down_on_a_terminal(
    farm: FakeAdminService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits sees for how long."""
    farm_done = farm._one_done

    def done(pool: str, member: str, *, changed: bool) -> MemberOrderResult:
        farm.now = time.time() - 4.3  # safe 0.7 s after the order, however late that comes
        return farm_done(pool, member, changed=changed)

    monkeypatch.setattr(farm, "_one_done", done)
    with api_of(farm) as api:
        said, ended = on_a_terminal("drain", "pvs-1", "--wait", "--url", api.url)
    assert ended == 0
    assert re.search(rb"\rSafe in [01]\.\d s", said)
    assert said.rstrip().endswith(b"It is safe now.")
