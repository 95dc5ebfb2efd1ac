"""The page on patch night: several members at once, later, and why things are as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

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
WEBHOOK = """
[[webhooks]]
name = "chat"
url = "http://127.0.0.1:9/hooks"
events = ["override"]
"""
FAILING = """
[[exporters]]
name = "inventory"
type = "webhook"
pools = ["boot"]
url = "http://127.0.0.1:9/"
"""
PHONE = {"width": 360, "height": 780}


@pytest.fixture(scope="module")
def used_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Return a farm of four in two racks: pvs-1 and pvs-3, pvs-2 and pvs-4."""
    folder = tmp_path_factory.mktemp("farm")
    with a_watched_farm(
        folder, first_host=201, size=4, more=EXPORTER + FAILING + WEBHOOK
    ) as admin_service:
        yield admin_service


@pytest.fixture
def admin_service(used_farm: Farm) -> Iterator[Farm]:
    """Return the farm with all in, and put it right again afterwards."""
    yield used_farm
    rrdns, servers = used_farm
    rrdns.json("POST", "/v1/orders/resume", {"glob": "*"})
    wait_until(lambda: all(rrdns.member(name)["in"] for name in servers), what="all in")


def test_a_rack_is_drained_and_brought_back_in_one_order(
    browser: Browser, admin_service: Farm
) -> None:
    """By its tag: all of it or none, with one number in the audit trail."""
    rrdns, _ = admin_service
    with a_page(browser) as page:
        sign_in(page, rrdns)
        row(page, "pvs-2").get_by_role("button", name="rack-2").click()
        bar = page.get_by_role("group", name="Orders for the selected members")
        expect(bar).to_contain_text("Selected: pvs-2 and pvs-4")
        assert serious_faults(page) == []
        bar.get_by_role("button", name="Drain them").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading")).to_have_text("Drain pvs-2 and pvs-4")
        expect(page.locator("#order-left")).to_have_text("pvs-1 and pvs-3 stay in.")
        dialog.get_by_label("Reason").fill("new switch")
        dialog.get_by_role("button", name="Drain").click()
        for member, state in (("pvs-2", "Drained"), ("pvs-4", "Drained"), ("pvs-1", "In")):
            expect(badge(page, member)).to_have_text(state)
        expect(page.locator("#toast")).to_contain_text("pvs-2 and pvs-4 are drained. Safe to shut")
        trail = rrdns.json("GET", "/v1/audit?limit=2")["entries"]
        assert len({entry["details"]["order"] for entry in trail}) == 1
        assert {entry["reason"] for entry in trail} == {"new switch"}
        bar.get_by_role("button", name="Resume them").click()
        dialog.get_by_role("button", name="Resume").click()
        for member in ("pvs-2", "pvs-4"):
            expect(badge(page, member)).to_have_text("In")
        bar.get_by_role("button", name="Clear").click()
        expect(bar).to_be_hidden()


def test_the_guard_is_heard_before_anybody_confirms(browser: Browser, admin_service: Farm) -> None:
    """All of them is too many; one fewer is not, and nothing was done meanwhile."""
    rrdns, servers = admin_service
    with a_page(browser) as page:
        sign_in(page, rrdns)
        for name in servers:
            page.get_by_role("checkbox", name=f"Select {name}").check()
        bar = page.get_by_role("group", name="Orders for the selected members")
        bar.get_by_role("button", name="Drain them").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("alert")).to_contain_text(
            "are the last members in rotation of pool 'boot'"
        )
        expect(dialog.get_by_label("anyway")).to_be_visible()
        with page.expect_response("**/v1/orders/drain") as answered:
            dialog.get_by_role("button", name="Drain").click()
        assert answered.value.status == 409
        page.keyboard.press("Escape")
        page.get_by_role("checkbox", name="Select pvs-1").uncheck()
        bar.get_by_role("button", name="Drain them").click()
        expect(page.locator("#order-left")).to_have_text("pvs-1 stays in.")
        expect(dialog.get_by_role("alert")).to_be_hidden()
        page.keyboard.press("Escape")
        assert all(rrdns.member(name)["in"] for name in servers)


def test_an_order_for_later_is_shown_until_it_is_cancelled(
    browser: Browser, admin_service: Farm
) -> None:
    """It begins when it was said to, by the clock of whoever gave it."""
    rrdns, _ = admin_service
    with a_page(browser, timezone_id="Asia/Tokyo") as page:
        sign_in(page, rrdns)
        row(page, "pvs-3").get_by_role("button", name="Drain").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Reason").fill("patch night")
        dialog.get_by_role("radio", name="2 h", exact=True).check()
        dialog.get_by_role("radio", name="later").check()
        dialog.get_by_role("button", name="Drain").click()
        expect(dialog.get_by_role("alert")).to_have_text("Enter the start time.")
        begin = page.evaluate(_LOCAL_TIME_IN_THREE_HOURS)
        dialog.get_by_label("Start time").fill(begin)
        expect(page.locator("#order-left")).to_contain_text(
            re.compile("Starts in (3 h|2 h 59 min)")
        )
        dialog.get_by_role("button", name="Drain").click()
        expect(page.locator("#toast")).to_contain_text("pvs-3 will be drained at")
        expect(row(page, "pvs-3").locator(".plan")).to_contain_text(
            re.compile(r"Will be drained by ops at .* \(in (3 h|2 h 59 min)\): “patch night”")
        )
        expect(badge(page, "pvs-3")).to_have_text("In")
        plan = rrdns.member("pvs-3")["plan"]
        away = datetime.fromisoformat(plan["at"]) - datetime.now().astimezone()
        assert abs(away - timedelta(hours=3)) < timedelta(minutes=2)
        row(page, "pvs-3").get_by_role("button", name="Cancel").click()
        dialog.get_by_role("button", name="Resume").click()
        expect(row(page, "pvs-3").locator(".plan")).to_be_hidden()
        assert rrdns.member("pvs-3")["plan"] is None


def test_the_page_explains_who_is_next_and_what_would_change_that(
    browser: Browser, admin_service: Farm
) -> None:
    """Also a viewer may know: the order of the next answers, which probe decided, what to do."""
    rrdns, servers = admin_service
    rrdns.json("POST", "/v1/pools/boot/members/pvs-4/drain", {"reason": "patch", "for": "1h"})
    with a_page(browser) as page:
        sign_in(page, rrdns, "look")
        page.get_by_text("Next answers").click()
        answers = page.locator(".explain ol li")
        expect(answers).to_have_count(3)
        expect(answers.first).to_contain_text(re.compile("^pvs-[123], then pvs-[123], pvs-[123]$"))
        said = page.locator(".explain dd").last
        expect(said).to_contain_text("Out since")
        expect(said).to_contain_text("In when the drain ends at")
        expect(said.locator("code")).to_have_text("rrdns resume pvs-4 --pool boot")
        first = page.locator(".explain dd").first
        expect(first).to_contain_text(f"Last deciding probe: {servers['pvs-1'].address} serves")
        expect(first).to_contain_text("Out when 3 probes in a row fail, in about")
        assert serious_faults(page) == []
        rrdns.json("POST", "/v1/pools/boot/members/pvs-4/resume", {})
        expect(answers).to_have_count(4)


def test_the_page_tells_how_exporters_and_webhooks_fare(
    browser: Browser, admin_service: Farm
) -> None:
    """One told its file; others get no answer: it says what, and when they try again."""
    rrdns, _ = admin_service
    rrdns.json("POST", "/v1/pools/boot/members/pvs-1/drain", {"reason": "told to the chat"})
    with a_page(browser) as page:
        sign_in(page, rrdns, "look")
        expect(page.locator("#exporters-rows tr")).to_have_count(3)
        told, failing, chat = page.locator("#exporters-rows tr").all()
        expect(chat).to_contain_text("http://127.0.0.1:9/: override")
        expect(chat.locator(".badge")).to_have_text("Failing")
        expect(chat).to_contain_text(re.compile("[0-9]+ events? in the queue"))
        expect(told).to_contain_text("dnsmasq")
        expect(told.locator(".badge")).to_have_text("Delivered")
        expect(failing).to_contain_text("inventory")
        expect(failing.locator(".badge")).to_have_text("Failing")
        expect(failing).to_contain_text(re.compile("127.0.0.1:9.*next try in"))
        expect(page.locator("#alarms")).to_contain_text("inventory")
        assert serious_faults(page) == []


def test_all_of_it_fits_a_phone(browser: Browser, admin_service: Farm) -> None:
    """With members selected and the explanation open nothing must be scrolled sideways."""
    rrdns, _ = admin_service
    with a_page(browser, viewport=PHONE, has_touch=True) as page:
        sign_in(page, rrdns, "boss")
        row(page, "pvs-1").get_by_role("button", name="rack-1").tap()
        page.get_by_text("Next answers").tap()
        expect(page.locator(".explain ol li")).to_have_count(4)
        assert _width(page) <= PHONE["width"]
        page.get_by_role("button", name="Drain them").tap()
        page.get_by_role("dialog").get_by_role("radio", name="later").check()
        box = page.get_by_role("dialog").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert serious_faults(page) == []


_LOCAL_TIME_IN_THREE_HOURS = """
    new Date(Date.now() + 3 * 3600e3 - new Date().getTimezoneOffset() * 60e3)
        .toISOString().slice(0, 16)
"""


def _width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


def test_choosing_works_with_the_keyboard(browser: Browser, admin_service: Farm) -> None:
    """Space chooses, Enter orders, and the focus comes back; the orders are always in sight."""
    rrdns, _ = admin_service
    with a_page(browser, viewport={"width": 1280, "height": 420}) as page:
        sign_in(page, rrdns)
        for name in ("pvs-1", "pvs-3"):
            page.get_by_role("checkbox", name=f"Select {name}").focus()
            page.keyboard.press("Space")
        drain = page.get_by_role("button", name="Drain them")
        page.evaluate("window.scrollTo(0, 0)")
        expect(drain).to_be_in_viewport()
        drain.focus()
        page.keyboard.press("Enter")
        page.keyboard.type("by hand")
        page.keyboard.press("Escape")
        expect(drain).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        expect(badge(page, "pvs-3")).to_have_text("Drained")
        expect(page.get_by_role("button", name="Resume them")).to_be_focused()
