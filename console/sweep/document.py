"""The result of a sweep as the document of ``--json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from console.sweep.outcome import MAX_FAILURES, SweepOutcome
from domain.analytics.performance_metric import PerformanceMetric
from domain.sweeps.parameters import to_texts
from research.statistics.deflation import Deflation
from research.statistics.overfitting import Undetermined

MAX_MAP = 50
"""Columns and rows of a heat map in the document; more values share a column or row."""
MAX_MAPS = 10


def sweep_document(outcome: SweepOutcome, store: Path | None) -> dict[str, Any]:
    """Return the document.

    Args:
        outcome: of the sweep.
        store: the file of the trials; None: the database.
    """
    sweep, verdict, run = outcome.sweep, outcome.verdict, outcome.run
    plan = sweep.plan
    return {
        "made_at": outcome.made_at,
        "sweep": {
            "id": sweep.sweep,
            "strategy": outcome.strategy,
            "created_at": sweep.created_at,
            "code_hash": sweep.code_hash,
            "data_manifest": sweep.data_manifest,
            "symbols": list(outcome.prices.symbols),
            "bars": outcome.prices.bars,
            "since": outcome.span.begin,
            "until": outcome.span.end,
            "space": list(plan.space),
            "sampler": plan.sampler,
            "seed": plan.seed,
            "objective": plan.objective,
            "days_per_year": plan.days_per_year,
            "fill_at": "close" if plan.options["fill_at_close"] else "open",
            "folds": [fold.to_dict() for fold in plan.folds],
            "store": "database" if store is None else str(store),
        },
        "run": {
            "trials": verdict.attempts,
            "rows": len(run.trials),
            "ran": run.ran,
            "failed": len(outcome.failed),
            "refused": run.refused,
            "seconds": run.seconds,
            "reading_seconds": outcome.prices.reading_s,
        },
        "verdict": {
            "passed": verdict.passed,
            "sentences": list(verdict.sentences),
            "criteria": [asdict(one) for one in verdict.criteria],
        },
        "best": {"trial": verdict.best, "parameters": to_texts(verdict.parameters), "score": verdict.score},
        "deflated_sharpe": {
            "sharpe": verdict.deflated.sharpe,
            "undeflated": _metric(verdict.deflated.undeflated),
            "by_trials": _deflation(verdict.deflated.by_trials),
            "by_clusters": _deflation(verdict.deflated.by_clusters),
        },
        "overfitting": _overfitting(outcome),
        "folds": [asdict(row) for row in verdict.folds],
        "neighbourhood": {
            "by_steps": verdict.neighbourhood.by_steps,
            "mean": verdict.neighbourhood.mean,
            "share": verdict.neighbourhood.share,
            "neighbours": [_with_texts(asdict(one)) for one in verdict.neighbourhood.neighbours],
        },
        "heat_maps": [asdict(one) for one in outcome.maps(MAX_MAP, MAX_MAP, MAX_MAPS)],
        "trials": [_with_texts(row) for row in outcome.trial_rows()],
        "failures": [
            {"trial": one.trial, "fold": one.fold, "parameters": to_texts(one.parameters), "error": one.error}
            for one in outcome.failed[:MAX_FAILURES]
        ],
        "notes": outcome.notes,
    }


def _with_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "parameters": to_texts(row["parameters"])}


def _metric(metric: PerformanceMetric) -> dict[str, Any]:
    return {"value": metric.value, "reason": metric.reason}


def _deflation(deflation: Deflation) -> dict[str, Any]:
    return {
        "trials": deflation.trials,
        "deviation": deflation.deviation,
        "benchmark": deflation.benchmark,
        "probability": _metric(deflation.probability),
    }


def _overfitting(outcome: SweepOutcome) -> dict[str, Any]:
    value = outcome.verdict.overfitting
    if isinstance(value, Undetermined):
        return {"probability": None, "reason": value.reason}
    return {
        "probability": value.probability, "reason": None, "loss": value.loss, "slope": value.slope,
        "blocks": value.blocks, "days": value.days, "splits": len(value.logits),
    }  # fmt: skip
