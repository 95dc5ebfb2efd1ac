"""A browser for a test, and a farm that asks for tokens."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.e2e.farm import BOOT_FILE, Rrdns, Tftpd, all_settled
from tests.peers import peer, wait_until

TOKENS = {"ops": "operator", "look": "viewer", "boss": "admin"}  # each token is its name
OTHER_FILE = BOOT_FILE.replace(b"v7.15.0.11", b"v7.15.0.12")
PATIENCE = 10_000  # milliseconds
# As root in a container there is no sandbox to have, and nothing is to be looked up outside.
ARGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


EXPORTER = """
[[exporters]]
name = "dnsmasq"
type = "file"
pools = ["boot"]
path = "{folder}/dnsmasq.hosts"
template = "dnsmasq-hosts"
"""


@dataclass
class GuardedRrdns(Rrdns):
    """rrdns with a token for each role, members in two racks, and whatever `more` there is."""

    more: str = ""

    def write_config(self, **changes: Any) -> None:
        """Write the config file."""
        super().write_config(**changes)
        text = self.config.read_text()
        for number, (name, _) in enumerate(self.members):
            rack = f'name = "{name}"\ntags = ["rack-{1 + number % 2}"]'
            text = text.replace(f'name = "{name}"', rack)
        tokens = (
            f'[[api.tokens]]\nname = "{name}"\nrole = "{role}"\n'
            f'sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
            for name, role in TOKENS.items()
        )
        self.config.write_text("\n".join([text, self.more.format(folder=self.folder), *tokens]))

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any] | str]:
        """Call the API as an admin who is not at the page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=10)
        try:
            data = None if body is None else json.dumps(body)
            headers = {"Content-Type": "application/json", "Authorization": "Bearer boss"}
            connection.request(method, path, data, headers)
            reply = connection.getresponse()
            text = reply.read().decode()
            is_json = "json" in (reply.getheader("Content-Type") or "")
            return reply.status, json.loads(text) if is_json else text
        finally:
            connection.close()


@contextmanager
def a_watched_farm(
    folder: Path,
    *,
    first_host: int,
    size: int = 3,
    drifted: str = "",
    tokens: bool = True,
    more: str = "",
) -> Iterator[tuple[Rrdns, dict[str, Tftpd]]]:
    """Run TFTP servers and rrdns before them; `drifted` serves another file than the others."""
    rrdns = GuardedRrdns(folder, more=more) if tokens else Rrdns(folder)
    servers = {}
    for number in range(size):
        name = f"pvs-{number + 1}"
        root = _tftp_root(folder, "other" if name == drifted else "usual")
        servers[name] = Tftpd(name, f"127.0.0.{first_host + number}", rrdns.tftp_port, root)
    rrdns.members = [(server.name, server.address) for server in servers.values()]
    rrdns.write_config()
    with ExitStack() as stack:
        for server in servers.values():
            server.start()
            stack.callback(server.stop)
        stack.callback(rrdns.stop)
        rrdns.start()
        wait_until(lambda: all_settled(rrdns), what="probed")
        yield rrdns, servers


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
    context.set_default_timeout(PATIENCE)
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
    expect(row(page, "pvs-1")).to_be_visible(timeout=PATIENCE)


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


def _tftp_root(folder: Path, name: str) -> Path:
    root = folder / f"tftp-{name}"
    if not root.exists():
        root.mkdir(mode=0o755)
        (root / "ARDBP32.BIN").write_bytes(BOOT_FILE if name == "usual" else OTHER_FILE)
    return root
