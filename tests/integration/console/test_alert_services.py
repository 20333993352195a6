"""Messages through Apprise: two services for real on this machine, the others by its own reading of an address."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from actors.settings import Settings
from console.alerts import services
from console.alerts.channels import channels
from console.alerts.outbox import Notification
from console.alerts.services import ServiceChannel, service_channels
from domain.alarms import Alarm, AlarmKind
from domain.errors import SettingsError
from domain.redaction.mask import KNOWN, mask
from domain.redaction.spellings import of_service
from tests.support.system.alarms import alarm, failure, no_proxy
from tests.support.system.web_receiver import HANG, Receiver
from tests.support.values.builders import NOON

PAGE = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text(encoding="utf-8")
LIMIT_S = 20.0
"""The start of the process takes half a second on an idle machine."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)


@pytest.mark.slow
def test_a_message_arrives_by_json_and_by_ntfy() -> None:
    earlier = (Alarm(NOON, AlarmKind.TEST, "before"),)
    notification = Notification(alarm("„über“ `id`"), 1, earlier, NOON, undelivered=1)
    text = (
        "„über“ `id` (and 1 more of this kind since 12:00:00 UTC)\n12:00:00 UTC before\n"
        "1 earlier alert could not be delivered"
    )
    with Receiver() as receiver:
        addresses = (f"json://me:pw@{receiver.address}/hook", f"ntfy://{receiver.address}/my-topic")
        by_json, by_ntfy = channels(Settings.isolated(alert_services=addresses))
        assert [("alert_services", "JSON"), ("alert_services", "ntfy")] == [
            (channel.setting, channel.target) for channel in (by_json, by_ntfy)
        ]
        by_json.deliver(notification, LIMIT_S)
        post = receiver.got.get(timeout=5)
        assert ("/hook", "Basic bWU6cHc=") == (post.path, post.headers["authorization"])
        assert ("Paper trading: test", text, "info") == tuple(post.body[name] for name in ("title", "message", "type"))
        by_ntfy.deliver(Notification(alarm("halted", AlarmKind.HALT)), LIMIT_S)
        document = receiver.next(5)
    assert ("my-topic", "Paper trading: halt", "halted") == tuple(
        document[name] for name in ("topic", "title", "message")
    )


@pytest.mark.slow
def test_a_service_that_fails_or_hangs_is_a_failure_without_the_address() -> None:
    with Receiver([503, HANG], response_body="no") as receiver:
        channel = ServiceChannel(f"json://{receiver.address}/s3cret-path", "JSON")
        error = failure(channel, LIMIT_S)
        assert error.again
        assert re.fullmatch(r"JSON ended with exit code 1: Failed to send JSON .*error=503\.", str(error)), str(error)
        receiver.got.get(timeout=5)
        begun = time.monotonic()
        assert "JSON did not end within 2 s" == str(failure(channel, 2.0))
        assert time.monotonic() - begun < 10  # killed, whatever Apprise's own time limit is


def recipes() -> list[str]:
    """Return the addresses in the examples of the page."""
    return re.findall(r'"([a-z]+://[^"]+)"', PAGE[PAGE.index("## Recipes") :])


def test_apprise_reads_each_recipe_of_the_page() -> None:
    settings = Settings.isolated(alert_services=tuple(recipes()))
    names = [channel.target for channel in channels(settings)]
    assert {"Telegram", "ntfy", "Slack", "Discord", "E-Mail", "JSON"} <= set(names)
    text = settings.redacted()["alert_services"]
    assert text is not None
    assert "tgram://********" in text
    printed = f"{settings!r} {settings.redacted()} {settings.model_dump()}"
    for address in recipes():
        assert address.partition("://")[2] not in printed


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (("s3cret",), "setting alert_services = ********: must be addresses of Apprise, such as ntfy://my-topic"),
        (("ntfy://s3 cret",), "setting alert_services = ********: must be addresses of Apprise"),
        ([5], "setting alert_services = ********: must be text"),
        ("ntfy://topic bogus://s3cret", "setting alert_services: Apprise cannot read address 2 (bogus://********)"),
        ("tgram://s3cret", "setting alert_services: Apprise cannot read address 1 (tgram://********)"),
    ],
)
def test_an_address_that_cannot_be_read_is_one_sentence_without_it(value: object, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        channels(Settings.isolated(alert_services=value))
    assert str(refused.value).startswith(message), refused.value
    assert "s3" not in str(refused.value)


def test_without_apprise_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "find_spec", lambda _: None)
    assert [] == service_channels([])
    with pytest.raises(SettingsError, match="pip install apprise"):
        service_channels(["ntfy://topic"])


def test_the_parts_of_an_address_are_masked_in_every_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KNOWN, "_texts", ())
    for address in (
        "tgram://123456789:AbCd-token_x/-1001234567/",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
        "mailto://me:pw12@mail.example.com?to=you@example.com&from=p%40ss%20word",
        "json://127.0.0.1/hook-of-mine",
    ):
        KNOWN.remember(of_service(address))
    texts = ["AbCd-token_x", "T1JJ3T3L2", "TIiajkdnlazkcOXrIdevi7FQ", "by pw12", "p@ss word", "at /hook-of-mine"]
    assert ["********"] * 3 == [mask(text) for text in texts[:3]]
    assert ["by ********", "********", "at ********"] == [mask(text) for text in texts[3:]]
    assert "connection to 127.0.0.1 refused" == mask("connection to 127.0.0.1 refused")
