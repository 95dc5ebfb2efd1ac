"""The script that patches a PVS server asks the API only for what there is.

It runs on Windows, where no test does: so it is parsed, and what it sends, calls and reads is
compared with the API.
"""

from __future__ import annotations

import re

from rrdns.web.api import request_models, response_models
from rrdns.web.api.endpoints import ENDPOINTS
from tests.peers import ROOT
from tests.powershell import commands

SCRIPT = (ROOT / "conf/examples/Invoke-PvsPatch.ps1").read_text(encoding="utf-8-sig")
MEMBER = "/v1/pools/{pool}/members/{member}"
OWN = {"Get-Status", "Invoke-Rrdns", "Invoke-Stubbornly"}
OWN |= {"Start-Drain", "Stop-Drain", "Wait-Healthy"}


def test_it_can_be_parsed_and_calls_what_windows_has() -> None:
    """No command is misspelt, and none comes from a module of somebody else."""
    known = {"Get-Content", "Get-Date", "Invoke-RestMethod", "ConvertTo-Json", "Set-StrictMode"}
    known |= {"Start-Sleep", "Write-Warning", "Write-Output"}
    assert OWN <= set(commands(SCRIPT)) <= OWN | known | {"$Do", "$Patch"}


def test_its_calls_and_fields_are_the_api_s() -> None:
    """A renamed field would be found on patch night."""
    calls = re.findall(r"Invoke-Rrdns (Post|Get) '([^'?]*)", SCRIPT)
    assert {("Post", "/drain"), ("Post", "/resume"), ("Get", "")} == set(calls)
    known = {(call.method, call.path) for call in ENDPOINTS}
    assert {(method.upper(), MEMBER + path) for method, path in calls} <= known
    order = re.search(r"\$order = @\{(.*)\}", SCRIPT)
    assert order is not None
    sent = dict.fromkeys(re.findall(r"(\w+) =", order[1]), "1s")
    request_models.OrderBody.model_validate({**sent, "wait": True})
    for field in ("safe", "safe_after", "member"):
        assert f"$done.{field}" in SCRIPT
        assert field in response_models.OrderResponse.model_fields
    assert {"standing", "why", "last_probe"} <= response_models.Member.model_fields.keys()
    assert {"verdict", "at"} <= response_models.Probe.model_fields.keys()


def test_it_waits_longer_than_the_api_does() -> None:
    """Else a wait for a long TTL would end as an error."""
    timeout = re.search(r"TimeoutSec += (\d+)", SCRIPT)
    assert timeout is not None
    assert int(timeout[1]) > request_models.MAX_WAIT
