"""Retries of decisions with an end of their order."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from domain.errors import InvalidRequest
from persistence import schema
from persistence.stores import retries
from tests.integration.persistence.test_adoption import psql

GTD = """
INSERT INTO trading_decisions (symbol, decision, confidence, order_type, limit_price, time_in_force, order_expires_at)
VALUES ('BTC/USDT', 'BUY', 1, 'limit', 100, 'GTD', now() + %s) RETURNING id
"""
END = "UPDATE trading_decisions SET status = 'rejected', outcome_reason = 'no room', processed_at = now() WHERE id = %s"


def test_a_retry_whose_end_is_past_is_refused(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    ids = []
    with psycopg.connect(embedded_url) as connection:
        for seconds in (-1, 3_600):
            row = connection.execute(GTD, [timedelta(seconds=seconds)]).fetchone()
            assert row is not None
            connection.execute(END, row)
            ids.append(str(row[0]))
    sentence = r"^decision 1 cannot be retried: its order_expires_at, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, is past$"
    with pytest.raises(InvalidRequest, match=sentence):
        retries.retry(embedded_url, ids[0])
    again = retries.retry(embedded_url, ids[1])
    ((status, retry_of),) = psql(embedded_url, f"SELECT status, retry_of FROM trading_decisions WHERE id = {again}")
    assert ("pending", 2) == (status, retry_of)
    for name in ("x", "999", "1.5"):
        with pytest.raises(InvalidRequest, match=f"^there is no decision {name}$"):
            retries.retry(embedded_url, name)
