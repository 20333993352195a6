"""Metrics: values, names as in docs/metrics.md, and queries that block no scrape."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from prometheus_client.core import Metric

from actors.introspection.counters import BUCKETS, Counters, Durations
from actors.introspection.facts import Facts
from actors.introspection.status import ActorStatus, SystemStatus
from console.metrics import families
from console.metrics.collector import SharedQuery
from domain.errors import DatabaseUnavailable
from domain.failures import FailureKind
from domain.trading.decision import Outcome
from domain.types import Generation, OutcomeStatus, PortfolioName
from persistence.database_timing import DatabaseTimings
from persistence.queries.metrics import Reading, Standing
from tests.support.system.scrapes import Scrape, scrape
from tests.support.values.builders import NOON

DOCUMENT = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
DEFAULT, SECOND = PortfolioName("default"), PortfolioName("second")
FACTS = Facts("localhost:5432/paper", "PostgreSQL 17.5, TimescaleDB 2.19.3", "kraken", real_prices=True, epoch=7)


class Stopwatch:
    """A clock that a test moves forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def counters_of_a_day(watch: Stopwatch) -> Counters:
    """Return counters of three decisions with different outcomes, one under way, an audit and two failures."""
    counters = Counters(watch, Generation(3))
    for id_ in (1, 2, 3, 4):
        counters.count_received(id_, DEFAULT if id_ < 3 else SECOND)
    counters.mark_waiting(3)
    watch.now += 0.003
    counters.count_fills([(1, DEFAULT)])
    watch.now += 1.0  # until the outcome reaches the DecisionWatcher
    counters.count_outcome(Outcome(1, OutcomeStatus.EXECUTED, "bought 1 BTC/USDT at 100"))
    counters.count_outcome(Outcome(2, OutcomeStatus.REJECTED, "no room: 0 left"))
    watch.now += 29.5
    counters.count_outcome(Outcome(3, OutcomeStatus.REJECTED, "no price in time: none of DEAD/USDT"))
    counters.count_audit(2)
    counters.count_failure(FailureKind.CRASH)
    counters.count_failure(FailureKind.THREAD_ENDED)
    counters.count_failure(FailureKind.REPLACED)  # a person asked for it
    watch.now += 12.0
    return counters


def actor_status(name: str, **changes: object) -> ActorStatus:
    usual = {"state": "idle", "doing": None, "busy_for": None, "waiting_since": None}
    return ActorStatus(name, **{**usual, "restarts": 0, "handled": 120, "mailbox": 0, "most": 3, **changes})


def system_status(**changes: object) -> SystemStatus:
    prices = {"source": "kraken", "real": True, "ended": False, "instruments": 900, "silent": [], "set_aside": 4}
    seen = {"BTC/USDT": NOON - timedelta(seconds=1.5), "ETH/USDT": NOON}
    quotes = {"BTC/USDT": {"age_s": 1.5, "exchange_age_s": 4.0}, "ETH/USDT": {"age_s": 0.0, "exchange_age_s": None}}
    usual = {
        "actors": (
            actor_status("Sizer", mailbox=5, most=40, restarts=2, restarted_by_hand=3),
            actor_status("PositionKeeper", busy_for=2.5),
        ),
        "intake_paused_since": None, "lease_held": True, "lease_renewed_ago": 4.5, "failures": (), "quarantined": 1,
        "prices": {**prices, "last_seen": seen, "frozen": [], "quotes": quotes}, "dead_letters": 6, "prices_dropped": 8,
    }  # fmt: skip
    return SystemStatus(**{**usual, **changes})


def database_reading() -> Reading:
    def standing(name: str, value: str, fall: str | None, halted: str | None = None) -> Standing:
        row = {
            "portfolio": name,
            "portfolio_id": name,
            "currency": "USDT",
            "initial_capital": Decimal(10_000),
            "cash": Decimal("8292.72"),
        }
        row |= {"worth": Decimal(value), "held": 2, "halted": halted, "open_orders": 3}
        drawdown = None if fall is None else Decimal(fall)
        return Standing(row, drawdown, drawdown)

    served = {"running": True, "renewed_ago": timedelta(seconds=90)}
    portfolios = [standing("default", "9990.5", "0.25"), standing("second", "11000", None, "too many losses")]
    return Reading(portfolios, 12, served, timedelta(minutes=5), 9_000, {"paper_fills": 700, "market_prices": 20})


def all_metrics(status: SystemStatus, counters: Counters, reading: Reading | None) -> Iterator[Metric]:
    """Yield all metrics of a running process, without those of every Python program."""
    trips = DatabaseTimings()
    trips.add(0.25)
    trips.add(0.5)
    counts = counters.counts()
    yield families.up(running=True)
    yield families.build_info("1.2.3", FACTS)
    yield families.of_round_trips({"PositionKeeper": trips})
    yield from families.of_process(status, counts, FACTS)
    yield from families.of_prices(status, NOON)
    yield from families.of_lease(status, reading)
    yield families.of_last_audit(counts, reading)
    yield from families.of_database(reading, counts.fills)


@pytest.fixture(scope="module")
def scraped() -> Scrape:
    return scrape(all_metrics(system_status(), counters_of_a_day(Stopwatch()), database_reading()))


def test_decisions_are_counted_by_outcome_and_reason(scraped: Scrape) -> None:
    counted = {("executed", "executed"): 1, ("rejected", "no_price"): 1, ("rejected", "no_room"): 1}
    assert counted == scraped.above_zero("paper_decisions_total")
    assert 26 == len(scraped.by("paper_decisions_total"))
    assert {("false",): 1} == scraped.above_zero("paper_decisions_under_way")
    assert 12 == scraped.value("paper_decisions_waiting")
    assert {("default",): 1, ("second",): 0} == {
        (name,): scraped.value("paper_fills_total", portfolio=name) for name in ("default", "second")
    }


def test_a_duration_ends_with_the_commit_not_with_the_message_about_it(scraped: Scrape) -> None:
    name = "paper_decision_duration_seconds"
    executed = {"outcome": "executed", "waited_for_price": "false"}
    assert 1 == scraped.value(f"{name}_count", **executed)
    assert scraped.value(f"{name}_sum", **executed) == pytest.approx(0.003)
    assert [0, 0, 1, 1] == [
        scraped.value(f"{name}_bucket", le=le, **executed) for le in ("0.001", "0.0025", "0.005", "60.0")
    ]
    waited = {"outcome": "rejected", "waited_for_price": "true"}
    assert scraped.value(f"{name}_sum", **waited) == pytest.approx(30.503)
    assert [0, 1] == [scraped.value(f"{name}_bucket", le=le, **waited) for le in ("30.0", "60.0")]
    assert 3 == sum(scraped.by(f"{name}_count").values())


def test_other_metrics_have_the_values_of_their_sources(scraped: Scrape) -> None:
    samples = {
        "paper_up": 1, "paper_epoch": 7, "paper_generation": 3, "paper_intake_paused": 0, "paper_lease_held": 1,
        "paper_lease_renewal_age_seconds": 4.5, "paper_database_up": 1, "paper_quarantined_total": 1,
        "paper_dead_letters_total": 6, "paper_prices_dropped_total": 8, "paper_prices_set_aside_total": 4,
        "paper_audits_total": 1, "paper_audit_differences_total": 2, "paper_audit_age_seconds": 12,
        "paper_symbols_silent": 0, "paper_symbols_frozen": 0, "paper_price_source_healthy": 1,
        "paper_clock_wrong": 0, "paper_database_bytes": 9_000,
    }  # fmt: skip
    assert samples == {name: scraped.value(name) for name in samples}
    actors = {
        "paper_mailbox_messages": 5, "paper_mailbox_messages_max": 40, "paper_actor_restarts_total": 2,
        "paper_messages_handled_total": 120, "paper_actor_busy_seconds": 0, "paper_actor_restarts_by_hand_total": 3,
    }  # fmt: skip
    assert actors == {name: scraped.value(name, actor="Sizer") for name in actors}
    assert 2.5 == scraped.value("paper_actor_busy_seconds", actor="PositionKeeper")
    assert {("crash",): 1, ("thread_ended",): 1} == scraped.above_zero("paper_failures_total")
    assert 1.5 == scraped.value("paper_price_age_seconds", symbol="BTC/USDT")
    assert {(("symbol", "BTC/USDT"),): 2.5} == scraped.by("paper_price_lag_seconds")
    assert (2, 0.75) == tuple(scraped.value(f"paper_database_round_trip_seconds_{what}") for what in ("count", "sum"))
    sizes = {(("table", "paper_fills"),): 700, (("table", "market_prices"),): 20}
    assert sizes == scraped.by("paper_table_bytes")
    assert "TimescaleDB 2.19.3" in scraped.text
    assert "localhost" not in scraped.text


def test_amounts_have_a_portfolio_and_an_incomplete_drawdown_is_missing(scraped: Scrape) -> None:
    def of(name: str, portfolio: str) -> float | None:
        return scraped.value(f"paper_portfolio_{name}", portfolio=portfolio)

    assert (9990.5, 8292.72, 10_000, 2, 0) == tuple(
        of(name, "default") for name in ("equity", "cash", "initial_capital", "positions", "halted")
    )
    assert (0.25, None) == tuple(of("drawdown_ratio", name) for name in ("default", "second"))
    assert (0, 1) == tuple(of("halted", name) for name in ("default", "second"))


def test_without_the_database_only_amounts_are_missing() -> None:
    scraped = scrape(all_metrics(system_status(lease_held=False), counters_of_a_day(Stopwatch()), None))
    assert (0, 0) == (scraped.value("paper_database_up"), scraped.value("paper_lease_held"))
    assert {} == scraped.by("paper_portfolio_equity") | scraped.by("paper_decisions_waiting")
    assert 3 == sum(scraped.by("paper_decisions_total").values())
    assert 1 == scraped.value("paper_fills_total", portfolio="default")


@pytest.mark.parametrize(
    "problem", [{"ended": True}, {"instruments": None}, {"silent": ["BTC/USDT"]}, {"frozen": ["BTC/USDT"]}]
)
def test_a_price_source_is_unhealthy_if_it_ended_sent_no_instruments_or_a_symbol_is_silent(
    problem: dict[str, object],
) -> None:
    prices = system_status().prices
    assert prices is not None
    scraped = scrape(families.of_prices(system_status(prices={**prices, **problem}), NOON))
    assert 0 == scraped.value("paper_price_source_healthy")


def test_a_busy_price_tracker_has_no_metrics_of_its_source() -> None:
    scraped = scrape(families.of_prices(system_status(prices=None), NOON))
    assert {"paper_prices_dropped_total": 8} == {
        name: value for family in scraped.families.values() for name, _, value, *_ in family.samples
    }


def test_without_a_process_the_lease_comes_from_the_database() -> None:
    scraped = scrape(families.of_lease(None, database_reading()))
    assert (1, 90) == (scraped.value("paper_lease_held"), scraped.value("paper_lease_renewal_age_seconds"))


def test_a_process_that_has_not_audited_yet_has_the_last_audit_from_the_database() -> None:
    fresh = Counters(Stopwatch()).counts()
    ages = [
        scrape([families.of_last_audit(counts, reading)]).value("paper_audit_age_seconds")
        for counts, reading in ((fresh, database_reading()), (None, database_reading()), (fresh, None))
    ]
    assert [300, 300, None] == ages


def test_at_most_200_symbols_have_a_price_age() -> None:
    prices = system_status().prices
    assert prices is not None
    seen = {f"S{number}/USDT": NOON for number in range(250)}
    scraped = scrape(families.of_prices(system_status(prices={**prices, "last_seen": seen}), NOON))
    assert 200 == len(scraped.by("paper_price_age_seconds"))
    assert 0 == scraped.value("paper_price_age_seconds", symbol="S0/USDT")


def test_a_bucket_takes_what_does_not_exceed_its_bound() -> None:
    durations = Durations()
    for seconds in (0.0, BUCKETS[0], BUCKETS[0] + 1e-9, BUCKETS[-1], BUCKETS[-1] + 1e-9):
        durations.add(seconds)
    assert [2, 1, 1, 1] == [durations.counts[place] for place in (0, 1, -2, -1)]
    assert len(BUCKETS) + 1 == len(durations.counts)


def test_a_decision_taken_in_again_counts_from_the_first_time_and_once() -> None:
    watch = Stopwatch()
    counters = Counters(watch)
    counters.count_received(1, DEFAULT)
    watch.now += 2.0
    counters.count_received(1, DEFAULT)
    outcome = Outcome(1, OutcomeStatus.EXECUTED, "bought")
    counters.count_outcome(outcome)
    counters.count_outcome(outcome)
    counts = counters.counts()
    assert (1, 1, 2.0) == (
        counts.outcomes[OutcomeStatus.EXECUTED, "executed"],
        counts.fills[DEFAULT],
        counts.durations[OutcomeStatus.EXECUTED, False][1],
    )


def test_one_that_was_deleted_is_under_way_no_more() -> None:
    counters = Counters(Stopwatch())
    counters.count_received(1, DEFAULT)
    counters.discard(1)
    assert ((0, 0), 0) == (counters.counts().under_way, sum(counters.counts().outcomes.values()))


# --- the document


def rows() -> dict[str, tuple[str, set[str]]]:
    """Return each metric of the document's table with its type and labels."""
    table = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", DOCUMENT, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in table}


def test_the_document_has_every_metric_with_type_and_labels_and_no_other(scraped: Scrape) -> None:
    documented = {}
    for family in scraped.families.values():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        documented[f"{family.name}_total" if family.type == "counter" else family.name] = (family.type, labels)
    assert rows() == documented


def test_names_keep_the_conventions_and_each_help_is_a_sentence_of_its_own(scraped: Scrape) -> None:
    assert [] == [name for name in scraped.families if not re.fullmatch(r"paper(_[a-z]+)+", name)]
    helps = [family.documentation for family in scraped.families.values()]
    assert len(helps) == len(set(helps))
    assert [] == [text for text in helps if not text or text.endswith(".")]
    # No OpenMetrics syntax, which older collectors do not accept.
    assert [] == re.findall(r"# EOF|# UNIT|_created", scraped.text)


def test_the_expressions_of_the_document_use_existing_metrics_and_labels(scraped: Scrape) -> None:
    rules = next(block for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL) if "groups:" in block)
    alerts = [rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]
    assert 3 == len(alerts)
    expressions = re.search(r"```promql\n(.*?)```", DOCUMENT, re.DOTALL)
    assert expressions is not None
    names = {sample.name for family in scraped.families.values() for sample in family.samples}
    for expression in [*alerts, *expressions[1].splitlines()]:
        named = re.findall(r"(paper_\w+)(?:\{([^}]*)\})?", expression)
        assert named, expression
        assert [] == [name for name, _ in named if name not in names]
        for name, matchers in named:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', matchers))
            assert not labels or any(labels.items() <= dict(sample).items() for sample in scraped.by(name)), expression


def test_the_scrape_configuration_asks_where_the_endpoint_is() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    config = next(yaml.safe_load(block) for block in blocks if "scrape_configs" in block)
    port = re.search(r"metrics_port = (\d+)", DOCUMENT)
    assert port is not None
    assert [f"127.0.0.1:{port[1]}"] == config["scrape_configs"][0]["static_configs"][0]["targets"]


# --- the query to the database


def test_callers_share_a_hanging_query_and_wait_no_longer_than_their_timeout() -> None:
    begun, go_on = threading.Event(), threading.Event()
    threads = []

    def query() -> str:
        threads.append(threading.current_thread())
        begun.set()
        go_on.wait(10)
        return "answer"

    database = SharedQuery(query)
    before = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        assert [None] * 4 == list(pool.map(lambda _: database.answer(0.05), range(4)))
    assert time.monotonic() - before < 2
    assert [True] == [thread.daemon for thread in threads]
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(database.answer, 10)
        assert begun.wait(10)
        go_on.set()
        assert "answer" == late.result(10)
    database.close()
    assert "answer" == database.answer(10)
    assert 2 == len(threads)


@pytest.mark.parametrize("error", [DatabaseUnavailable("it is away"), ZeroDivisionError("a defect")])
def test_a_failed_query_has_no_result_and_runs_again(error: Exception) -> None:
    answers = iter([error, "answer"])

    def query() -> str:
        match next(answers):
            case Exception() as raised:
                raise raised
            case answer:
                return str(answer)

    database = SharedQuery(query)
    assert [None, "answer"] == [database.answer(10), database.answer(10)]
