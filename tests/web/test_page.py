"""The page in a real browser, before a real farm.

With RRDNS_SCREENSHOTS=docs the pictures of the manual are made anew.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.farm import Rrdns, Tftpd
from tests.peers import wait_until
from tests.web.browser import (
    a_page,
    badge,
    row,
    serious_faults,
    sign_in,
)
from tests.web.guarded import EXPORTER, a_watched_farm

# One process has the browser, as Playwright's event loop fills its thread.
pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("browser")]

Farm = tuple[Rrdns, dict[str, Tftpd]]
PHONE = {"width": 360, "height": 780}


@pytest.fixture(scope="module")
def used_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Return a farm that several tests use."""
    with a_watched_farm(tmp_path_factory.mktemp("farm"), first_host=125) as admin_service:
        yield admin_service


@pytest.fixture
def admin_service(used_farm: Farm) -> Iterator[Farm]:
    """Return a farm with three members in, and put it right again afterwards."""
    yield used_farm
    rrdns, servers = used_farm
    for name, server in servers.items():
        rrdns.json("POST", f"/v1/pools/boot/members/{name}/resume", {})
        if server.process is not None and server.process.poll() is not None:
            server.start()
    wait_until(lambda: all(rrdns.member(name)["in"] for name in servers), what="all in")


@pytest.fixture(scope="module")
def quiet_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Return a farm that the tests only look at: pvs-2 is drained, pvs-3 serves another file."""
    with a_watched_farm(tmp_path_factory.mktemp("farm"), first_host=121, drifted="pvs-3") as (
        rrdns,
        servers,
    ):
        rrdns.json(
            "POST",
            "/v1/pools/boot/members/pvs-2/drain",
            {"reason": "<img src=x onerror=alert(1)>", "for": "2h"},
        )
        yield rrdns, servers


def test_an_operator_sees_a_server_die_drains_another_and_is_kept_from_the_last(
    browser: Browser, admin_service: Farm
) -> None:
    """Sign in, watch one fall within 5 s, drain, be refused, resume: without a reload."""
    rrdns, servers = admin_service
    with a_page(browser) as page:
        sign_in(page, rrdns)
        page.evaluate("window.loadedOnce = true")
        for member in servers:
            expect(badge(page, member)).to_have_text("In")
        servers["pvs-3"].stop()
        expect(badge(page, "pvs-3")).to_have_text("Down", timeout=5000)
        expect(row(page, "pvs-3").locator(".verdict")).to_contain_text("Refused the request")
        expect(page.locator("#latest")).to_contain_text("pvs-3 of pool boot: went down")
        expect(page).to_have_title(re.compile("^1 down"))

        _drain(page, "pvs-2", reason="patch night", length="2 h")
        expect(badge(page, "pvs-2")).to_have_text("Drained")
        expect(row(page, "pvs-2")).to_contain_text(re.compile("“patch night”, until .*(2 h left)"))
        expect(row(page, "pvs-2").locator(".safe")).to_contain_text("Safe to shut down")
        newest = page.locator("#trail-rows tr").first
        expect(newest).to_contain_text("patch night")
        expect(newest.locator(".by")).to_have_text("ops")
        assert rrdns.addresses() == [servers["pvs-1"].address]

        _drain(page, "pvs-1", reason="too eager")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("alert")).to_contain_text("'pvs-1' is the last member")
        dialog.get_by_role("button", name="Cancel").click()
        expect(badge(page, "pvs-1")).to_have_text("In")
        assert rrdns.addresses() == [servers["pvs-1"].address]

        row(page, "pvs-2").get_by_role("button", name="Resume").click()
        dialog.get_by_role("button", name="Resume").click()
        expect(badge(page, "pvs-2")).to_have_text("In")
        assert set(rrdns.addresses()) == {servers["pvs-1"].address, servers["pvs-2"].address}
        assert page.evaluate("window.loadedOnce") is True


def test_everything_down_is_shouted_and_force_is_the_admins_word(
    browser: Browser, admin_service: Farm
) -> None:
    """The last one drained all the same: the page, its title and the trail say so."""
    rrdns, servers = admin_service
    for member in servers.keys() - {"pvs-1"}:
        rrdns.json("POST", f"/v1/pools/boot/members/{member}/drain", {})
    with a_page(browser) as page:
        sign_in(page, rrdns)
        _drain(page, "pvs-1", reason="it must be")
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("anyway").check()
        dialog.get_by_role("button", name="Drain").click()
        expect(page.locator(".shout")).to_contain_text("Everything is down")
        expect(page.locator(".score")).to_have_text("0 of 3 healthy")
        expect(page).to_have_title(re.compile("^EVERYTHING DOWN: boot"))
        summary = page.locator("#summary")
        expect(summary).to_have_text("Everything is down in 1 of 1 pool: 0 of 3 members healthy")
        expect(summary).to_have_attribute("data-tone", "bad")
        expect(page.locator("#trail-rows")).to_contain_text("drainedforced")
        assert serious_faults(page) == []
        row(page, "pvs-1").get_by_role("button", name="Resume").click()
        dialog.get_by_role("button", name="Resume").click()
        expect(page.locator(".shout")).to_be_hidden()
        expect(summary).to_be_empty()


def test_all_can_be_done_with_the_keyboard(browser: Browser, admin_service: Farm) -> None:
    """Enter opens, gives the order, and the focus comes back to where it was of use."""
    rrdns, _ = admin_service
    with a_page(browser) as page:
        sign_in(page, rrdns)
        row(page, "pvs-1").get_by_role("button", name="Drain").focus()
        page.keyboard.press("Enter")
        page.keyboard.type("by hand")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(badge(page, "pvs-1")).to_have_text("Drained")
        expect(row(page, "pvs-1")).to_contain_text(re.compile("“by hand”, until .*(30 min left)"))
        expect(row(page, "pvs-1").get_by_role("button", name="Resume")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(row(page, "pvs-1").get_by_role("button", name="Resume")).to_be_focused()


def test_an_order_on_an_outdated_view_is_not_carried_out(
    browser: Browser, admin_service: Farm
) -> None:
    """Somebody else was quicker; the admin looks again and decides anew."""
    rrdns, _ = admin_service
    with a_page(browser) as page:
        sign_in(page, rrdns)
        with page.expect_response("**/v1/pools/boot?recent=0"):
            row(page, "pvs-1").get_by_role("button", name="Drain").click()
        dialog = page.get_by_role("dialog")
        expect(page.locator("#order-left")).to_have_text("pvs-2 and pvs-3 stay in.")
        rrdns.json("POST", "/v1/pools/boot/members/pvs-2/drain", {"reason": "quicker"})
        dialog.get_by_role("button", name="Drain").click()
        expect(dialog.get_by_role("alert")).to_contain_text("The pool changed")
        expect(page.locator("#order-left")).to_have_text("pvs-3 stays in.")
        assert rrdns.member("pvs-1")["in"] is True
        dialog.get_by_role("button", name="Drain").click()
        expect(badge(page, "pvs-1")).to_have_text("Drained")


def test_a_length_that_means_nothing_is_told_at_the_order(
    browser: Browser, quiet_farm: Farm
) -> None:
    """The server's word on it is shown in the dialog."""
    with a_page(browser) as page:
        sign_in(page, quiet_farm[0])
        row(page, "pvs-1").get_by_role("button", name="Drain").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Another duration").fill("soon")
        dialog.get_by_role("button", name="Drain").click()
        expect(dialog.get_by_role("alert")).to_contain_text("'soon' is no length of time")
        assert quiet_farm[0].member("pvs-1")["in"] is True


def test_an_admin_may_force_a_member_in_and_out(browser: Browser, admin_service: Farm) -> None:
    """Forced is shown as forced, whatever the probes say."""
    rrdns, servers = admin_service
    with a_page(browser) as page:
        sign_in(page, rrdns, "boss")
        servers["pvs-2"].stop()
        expect(badge(page, "pvs-2")).to_have_text("Down", timeout=5000)
        for way, state in (("Keep it in", "Forced in"), ("Keep it out", "Forced out")):
            row(page, "pvs-2").get_by_role("button", name="Force").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label(way).check()
            dialog.get_by_role("button", name="Force").click()
            expect(badge(page, "pvs-2")).to_have_text(state)
        expect(row(page, "pvs-2")).to_contain_text("by boss; its probes fail")


def test_an_order_without_a_member_is_shown_and_ended(browser: Browser, tmp_path: Path) -> None:
    """Also where its pool is gone; who may not order sees no button."""
    with a_watched_farm(tmp_path, first_host=149, size=2) as (rrdns, _):
        rrdns.json("POST", "/v1/pools/boot/members/pvs-2/drain", {"reason": "patch night"})
        text = rrdns.config.read_text()
        text = text.replace('name = "pvs-2"', 'name = "pvs-new"').replace(
            'address = "127.0.0.150"', 'address = "127.0.0.151"'
        )
        rrdns.config.write_text(
            text.replace('name = "boot"', 'name = "other"').replace("boot.pvs", "other.pvs")
        )
        assert rrdns.process is not None
        rrdns.process.send_signal(signal.SIGHUP)
        with a_page(browser) as page:
            sign_in(page, rrdns, "look")
            orphans = page.locator("#orphans")
            expect(orphans).to_contain_text("Drained: pvs-2 (127.0.0.150) in pool boot")
            expect(orphans.get_by_role("button")).to_have_count(0)
        with a_page(browser) as page:
            sign_in(page, rrdns)
            assert serious_faults(page) == []
            orphans = page.locator("#orphans")
            orphans.get_by_role("button", name="Resume pvs-2 of pool boot").click()
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("No answer changes")
            dialog.get_by_role("button", name="Resume").click()
            expect(orphans).to_be_hidden()
            expect(page.locator("#alarms")).to_be_hidden()
            expect(page.locator("#trail-rows")).to_contain_text("resumed")


def test_a_viewer_sees_no_buttons(browser: Browser, quiet_farm: Farm) -> None:
    """Who may not order is not tempted."""
    with a_page(browser) as page:
        sign_in(page, quiet_farm[0], "look")
        expect(page.locator("#caller")).to_have_text("look (viewer)")
        expect(badge(page, "pvs-2")).to_have_text("Drained")
        assert page.locator("#pools").get_by_role("button").count() == 0


def test_a_wrong_token_is_told_and_a_right_one_is_kept_for_the_tab_only(
    browser: Browser, quiet_farm: Farm
) -> None:
    """A reload stays signed in; another tab, and this one after signing out, do not."""
    rrdns = quiet_farm[0]
    with a_page(browser) as page:
        page.goto(f"http://127.0.0.1:{rrdns.api_port}/")
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("rrdns does not know this token.")
        sign_in(page, rrdns)
        page.reload()
        expect(row(page, "pvs-1")).to_be_visible()
        other = page.context.new_page()
        other.goto(page.url)
        expect(other.get_by_label("Token")).to_be_focused()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Token")).to_be_visible()
        assert page.evaluate("sessionStorage.length + localStorage.length") == 0
        assert page.context.cookies() == []


def test_without_tokens_no_sign_in_is_asked(browser: Browser, tmp_path: Path) -> None:
    """This host may do anything then."""
    with (
        a_watched_farm(tmp_path, first_host=145, size=2, tokens=False) as (rrdns, _),
        a_page(browser) as page,
    ):
        page.goto(f"http://127.0.0.1:{rrdns.api_port}/")
        expect(badge(page, "pvs-1")).to_have_text("In")
        expect(page.locator("#sign-in")).to_be_hidden()
        expect(page.locator("#sign-out")).to_be_hidden()
        expect(row(page, "pvs-1").get_by_role("button", name="Drain")).to_be_visible()


def test_a_server_that_is_gone_is_said_and_its_return_is_seen(
    browser: Browser, admin_service: Farm
) -> None:
    """The page says since when it knows nothing, lets nothing be ordered, and recovers."""
    rrdns, servers = admin_service
    with a_page(browser) as page:
        sign_in(page, rrdns)
        page.evaluate("window.loadedOnce = true")
        _drain(page, "pvs-3", reason="a moment before")
        expect(row(page, "pvs-3").locator(".safe")).to_contain_text("Safe to shut down in")
        rrdns.stop()
        banner = page.get_by_role("region", name="Connection")
        expect(banner).to_contain_text("Connection lost")
        expect(banner).to_contain_text(re.compile(r"The page shows the state of \d\d:\d\d:\d\d"))
        expect(page).to_have_title(re.compile("^connection lost"))
        drain = row(page, "pvs-1").get_by_role("button", name="Drain")
        expect(drain).to_have_attribute("aria-disabled", "true")
        assert serious_faults(page) == []
        time.sleep(rrdns.ttl)  # what was not safe when it was last seen does not become so unseen
        expect(row(page, "pvs-3").locator(".safe")).to_contain_text("Safe to shut down in")
        servers["pvs-2"].stop()
        rrdns.start()
        expect(banner).to_be_hidden(timeout=15_000)
        expect(badge(page, "pvs-2")).to_have_text("Down")
        expect(drain).not_to_have_attribute("aria-disabled", "true")
        assert page.evaluate("window.loadedOnce") is True


def test_a_server_that_hangs_is_said_too(browser: Browser, admin_service: Farm) -> None:
    """Connections that are taken and never answered are no sign of life."""
    rrdns, _ = admin_service
    with a_page(browser) as page:
        sign_in(page, rrdns)
        control = rrdns.pids()["control"]
        os.kill(control, signal.SIGSTOP)
        try:
            banner = page.get_by_role("region", name="Connection")
            expect(banner).to_contain_text("Connection lost", timeout=9000)
        finally:
            os.kill(control, signal.SIGCONT)
        expect(banner).to_be_hidden(timeout=15_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Browser, quiet_farm: Farm, scheme: str) -> None:
    """Signing in, the board, an order, on a wide screen and on a phone."""
    rrdns = quiet_farm[0]
    with a_page(browser, color_scheme=scheme) as page:
        page.goto(f"http://127.0.0.1:{rrdns.api_port}/")
        expect(page.get_by_label("Token")).to_be_visible()
        assert serious_faults(page) == []
        sign_in(page, rrdns, "boss")
        expect(page.locator("#trail-rows tr").first).to_be_visible()
        assert serious_faults(page) == []
        page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        assert serious_faults(page) == []
        row(page, "pvs-1").get_by_role("button", name="Force").click()
        assert serious_faults(page) == []


def test_nothing_that_is_told_becomes_markup(browser: Browser, quiet_farm: Farm) -> None:
    """A reason that tries stays text."""
    with a_page(browser) as page:
        sign_in(page, quiet_farm[0])
        expect(row(page, "pvs-2")).to_contain_text("<img src=x onerror=alert(1)>")
        expect(page.locator("#trail-rows")).to_contain_text("<img src=x onerror=alert(1)>")
        assert page.locator("img").count() == 0


def test_it_fits_a_phone(browser: Browser, quiet_farm: Farm) -> None:
    """Nothing must be scrolled sideways, and drift warnings are there too."""
    with a_page(browser, viewport=PHONE) as page:
        sign_in(page, quiet_farm[0])
        expect(row(page, "pvs-3").locator(".warnings")).to_contain_text("version 7.15.0.12")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        row(page, "pvs-1").get_by_role("button", name="Drain").click()
        box = page.get_by_role("dialog").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]


@pytest.mark.long
def test_the_pictures_of_the_manual_can_be_made(browser: Browser, tmp_path: Path) -> None:
    """Light, dark, phone and an order: of four one is drained, one dead, one has another file."""
    folder = Path(os.environ.get("RRDNS_SCREENSHOTS") or tmp_path)
    seconds = 62 if "RRDNS_SCREENSHOTS" in os.environ else 1  # a whole chart takes its time
    with a_watched_farm(tmp_path, first_host=157, size=4, drifted="pvs-3", more=EXPORTER) as (
        rrdns,
        servers,
    ):
        servers["pvs-4"].stop()
        reason = {"reason": "patch night", "for": "2h"}
        rrdns.json("POST", "/v1/pools/boot/members/pvs-2/drain", reason)
        wait_until(lambda: not rrdns.member("pvs-4")["in"])
        looks: dict[str, dict[str, Any]] = {
            "light": {"viewport": {"width": 1280, "height": 800}},
            "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
            "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5},
        }
        for name, options in looks.items():
            with a_page(browser, **options) as page:
                sign_in(page, rrdns)
                _ask_for(rrdns, seconds if name == "light" else min(seconds, 8))
                _take(page, folder / f"page-{name}.png")
        with a_page(browser, viewport={"width": 1280, "height": 800}) as page:
            sign_in(page, rrdns)
            for member in ("pvs-1", "pvs-3"):
                page.get_by_role("checkbox", name=f"Select {member}").check()
            page.get_by_role("button", name="Drain them").click()
            page.get_by_label("Reason").fill("firmware of the switch in rack 1")
            page.get_by_role("radio", name="1 h", exact=True).check()
            expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
            _take(page, folder / "page-order.png")


def _drain(page: Page, member: str, *, reason: str, length: str = "until resumed") -> None:
    row(page, member).get_by_role("button", name="Drain").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("radio", name=length, exact=True).check()
    dialog.get_by_role("button", name="Drain").click()


def _take(page: Page, picture: Path) -> None:
    page.screenshot(path=picture)
    assert 10_000 < picture.stat().st_size < 250_000


def _ask_for(rrdns: Rrdns, seconds: float) -> None:
    """Ask for the boot hostname for a while, so that there are answers to count."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rrdns.addresses_at_last()
        time.sleep(0.05)
