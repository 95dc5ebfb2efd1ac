"""What schemathesis cannot know of our API: the time of day, and that waiting takes time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Let times lie ahead of us, where the schema says so in words, and wait for nothing long."""
    if not isinstance(body, dict):
        return body
    soon = datetime.now(UTC) + timedelta(hours=30)
    if _is_time(body.get("until")):
        body["until"] = soon.isoformat()
    if _is_time(body.get("at")):
        body["at"] = (soon - timedelta(hours=1)).isoformat()
    if body.get("wait") is True:
        body["wait"] = False
    return body


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return "T" in value
