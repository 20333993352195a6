"""The program that delivers one notification by Apprise, and the one that checks addresses.

It runs in a process of its own, so that a service that hangs can be killed, and Apprise's code stays out of the
process that trades. The request comes as JSON on stdin, since others can see arguments:

- ``{"check": [ADDRESS, …]}``: prints a JSON list with the name of each service, null where Apprise cannot read it.
- ``{"address": …, "title": …, "body": …, "type": …}``: delivers; exit code 0 means delivered.

It imports nothing else of the program: it is run by its path.
"""

from __future__ import annotations

import json
import logging
import sys

import apprise

DELIVERED, NOT_DELIVERED, UNREADABLE = 0, 1, 2


def main() -> int:
    """Handle the request on stdin; return the exit code."""
    request = json.load(sys.stdin)
    if "check" in request:
        logging.disable(logging.CRITICAL)  # its messages repeat addresses
        services = [apprise.Apprise.instantiate(address) for address in request["check"]]
        json.dump([None if service is None else str(service.service_name) for service in services], sys.stdout)
        return DELIVERED
    # What Apprise reports is the reason of a failure; the caller masks what is secret in it.
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s", force=True)
    receiver = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Paper trading", app_desc="paper trading"))
    if not receiver.add(request["address"]):
        return UNREADABLE
    delivered = receiver.notify(
        title=request["title"],
        body=request["body"],
        notify_type=apprise.NotifyType(request["type"]),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return DELIVERED if delivered else NOT_DELIVERED


if __name__ == "__main__":
    sys.exit(main())
