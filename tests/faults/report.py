"""The table at the end of `make faults`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.counters import Counters


def report(whole: Counters, seconds: float, missing: Mapping[str, str]) -> str:
    """Return the table: faults by kind, decisions, outcomes, and the three numbers that must be 0.

    Args:
        whole: of all parts.
        seconds: that it took.
        missing: parts that were not run, and why.
    """
    lines = ["", f"{'faults':<40}{whole.faults.total():>10}"]
    lines += [f"  {kind:<38}{count:>10}" for kind, count in sorted(whole.faults.items(), key=lambda pair: -pair[1])]
    lines += [f"{'decisions sent':<40}{whole.decisions:>10}"]
    lines += [f"  {status:<38}{count:>10}" for status, count in sorted(whole.outcomes.items())]
    lines += [
        f"{'lost':<40}{whole.lost:>10}",
        f"{'doubled':<40}{whole.doubled:>10}",
        f"{'books out of balance':<40}{whole.unbalanced:>10}",
        f"{'took':<40}{seconds / 60:>6.1f} min",
    ]
    lines += [f"not run: {name}, {why}" for name, why in missing.items()]
    if whole.repeat:
        lines += ["", f"{len(whole.repeat)} failures, each with the command that repeats it:", *whole.repeat]
    return "\n".join(lines)
