"""What a run leaves for people: metrics.json, predictions.csv, report.html, and lines on the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stgt.data.catalog.cards import DatasetCard
from stgt.evaluation.distributions import distribution_scores
from stgt.evaluation.metrics import Interval, Spread, Summary, chance, summarise
from stgt.evaluation.report import ModelResult, ReportInput, write_report
from stgt.files import write_json


@dataclass(frozen=True)
class Outcome:
    """A finished training or evaluation."""

    title: str
    card: DatasetCard
    sentence: str
    """The protocol: printed with every score."""
    results: Sequence[ModelResult]
    """The first is the one that the run is about."""
    skipped: Mapping[str, str]
    """Clip id -> why it could not be used."""
    config: Mapping[str, Any]
    command: str
    seed: int | None


def write_results(folder: Path, outcome: Outcome) -> None:
    """Write metrics.json, predictions.csv (honest, of the first model) and report.html."""
    write_json(folder / "metrics.json", metrics_document(outcome))
    outcome.results[0].honest.to_csv(folder / "predictions.csv")
    report = ReportInput(
        title=outcome.title,
        dataset=outcome.card.title,
        protocol=outcome.sentence,
        models=outcome.results,
        command=outcome.command,
        seed=outcome.seed,
        config=outcome.config,
        published=published_results(outcome.card),
        citation=outcome.card.citation,
        licence=outcome.card.licence,
        skipped=outcome.skipped,
    )
    write_report(folder / "report.html", report)


def metrics_document(outcome: Outcome) -> dict[str, Any]:
    """The content of metrics.json."""
    return {
        "protocol": outcome.sentence,
        "models": {
            result.name: {
                "honest": summarise(result.honest).to_dict(),
                "best_on_test": None if result.best_on_test is None else summarise(result.best_on_test).to_dict(),
                "honest_epochs": list(result.chosen_epochs),
                "temperatures": list(result.temperatures),
                "parameters": result.parameters,
                "seconds": result.seconds,
                **distribution_entry(result),
            }
            for result in outcome.results
        },
        "skipped": dict(outcome.skipped),
        "config": dict(outcome.config),
    }


def distribution_entry(result: ModelResult) -> dict[str, Any]:
    """How near the honest predictions are to the clips' shares of classes; empty where none are known."""
    found = distribution_scores(result.honest, result.shares)
    return {"distribution": found.to_dict()} if found else {}


def published_results(card: DatasetCard) -> list[dict[str, Any]]:
    """The card's published results as rows of the report."""
    return [
        {
            "method": result.method,
            "war": result.war,
            "uar": result.uar,
            "source": result.source,
            "note": "; ".join(filter(None, (result.protocol, result.note))),
        }
        for result in card.published
    ]


def print_scores(folder: Path, outcome: Outcome) -> None:
    """The scores on the terminal, always with the protocol."""
    print(f"\n{outcome.sentence}")
    for result in outcome.results:
        print(f"\n{result.name}")
        # Without a choice of epochs there is nothing that could be called best-on-test, so nothing to tell apart.
        alone = result.best_on_test is None
        honest = summarise(result.honest)
        ece = f"   ECE {100 * honest.calibration.ece:.1f}"
        print("  " + score_line("" if alone else "honest", honest) + ece)
        shares = distribution_scores(result.honest, result.shares)
        if shares is not None:
            print(
                f"  divergence from the true shares {shares.kullback_leibler:.3f} nats "
                f"({shares.chance:.3f} for their mean; {shares.clips} clips)"
            )
        if result.best_on_test is not None:
            print("  " + score_line("best-on-test", summarise(result.best_on_test)))
    war, uar = chance(outcome.results[0].honest)
    print(f"\nchance: WAR {100 * war:.1f}, UAR {100 * uar:.1f}")
    if outcome.skipped:
        print(f"{len(outcome.skipped)} clips could not be used: {', '.join(outcome.skipped)}")
    print(f"report: {folder / 'report.html'}")


def score_line(name: str, summary: Summary) -> str:
    """One line: pooled WAR and UAR in per cent with 95 % intervals over subjects, and mean ± sd over folds."""
    several = len(summary.folds) > 1
    war = _measure("WAR", summary.pooled.war, summary.intervals.war, summary.fold_war if several else None)
    uar = _measure("UAR", summary.pooled.uar, summary.intervals.uar, summary.fold_uar if several else None)
    return f"{name:<13}{war}   {uar}"


def _measure(name: str, value: float, interval: Interval | None, over_folds: Spread | None) -> str:
    text = f"{name} {100 * value:5.1f}"
    if interval is not None:
        text += f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    if over_folds is not None:
        text += f" (folds {100 * over_folds.mean:.1f} ± {100 * over_folds.sd:.1f})"
    return text
