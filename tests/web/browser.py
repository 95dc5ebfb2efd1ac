"""A browser for a test, and what it looks for in the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.e2e.farm import Rrdns
from tests.peers import peer

TIMEOUT = 10_000  # milliseconds: 5 s, as by default, are few on a busy machine
expect.set_options(timeout=TIMEOUT)
# As root in a container there is no sandbox to have, and nothing is to be looked up outside.
ARGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=peer("chromium"), args=ARGS.split(), chromium_sandbox=False
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def a_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a tab of its own, which must not hit a defect or the content security policy."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda said: wrong.append(said.text) if "Content Security" in said.text else None,
    )
    try:
        yield page
        assert wrong == []
    finally:
        context.close()


def sign_in(page: Page, rrdns: Rrdns, token: str = "ops") -> None:
    """Open the page and sign in."""
    page.goto(f"http://127.0.0.1:{rrdns.api_port}/")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(row(page, "pvs-1")).to_be_visible(timeout=TIMEOUT)


def row(page: Page, member: str) -> Locator:
    """Return the row of a member."""
    return page.locator("#pools tbody tr").filter(
        has=page.get_by_role("rowheader", name=member, exact=False)
    )


def badge(page: Page, member: str) -> Locator:
    """Return what a member's row says of its state."""
    return row(page, member).locator(".badge")


def serious_faults(page: Page) -> list[str]:
    """Return what axe holds to be a serious fault or worse in the page as it is shown."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 10  # axe did look
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]
