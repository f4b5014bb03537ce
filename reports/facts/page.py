"""The page: everything that is shown of a run, whatever it is rendered as."""

from __future__ import annotations

from dataclasses import dataclass

from references.bulk.exact_pairs import MPMATH, TIERS
from references.vocabulary import VERDICTS
from reports.facts.disagreement import Disagreement, disagreements_of
from reports.facts.implemented import Implemented, implemented_of
from reports.facts.matrix import Matrix, matrices_of
from reports.facts.observations import BitsLine, changes_of
from reports.facts.profiles import Profiles, profiles_of
from reports.facts.question import Question, question_of
from reports.facts.special_values import SpecialValues, special_values_of
from reports.facts.summary import Summary, summary_of
from reports.facts.tally import ordinary, special_values
from reports.facts.worst_cases import WorstCases, worst_cases
from reports.facts.wrong_today import WrongToday, wrong_today
from reports.run.records import Run
from reports.wording import MEANINGS, listing, main_tier, significant, whole


@dataclass(frozen=True)
class Page:
    """Tables of facts are (name, value) pairs; every value is text, ready to be read."""

    summary: Summary
    wrong: WrongToday
    legend: tuple[tuple[str, str], ...]
    matrices: tuple[Matrix, ...]
    worst: WorstCases
    special: SpecialValues
    special_matrices: tuple[Matrix, ...]
    question: Question
    disagreements: tuple[Disagreement, ...]
    implemented: Implemented
    profiles: Profiles
    changes: tuple[BitsLine, ...]
    unmeasured: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def page_of(run: Run) -> Page:
    plain, special = ordinary(run), special_values(run)
    legend = [*reversed(VERDICTS), *(["n/a"] if any(r.verdict == "n/a" for r in run.records) else [])]
    return Page(
        summary=summary_of(run, plain),
        wrong=wrong_today(run),
        legend=tuple((verdict, MEANINGS[verdict]) for verdict in legend),
        matrices=matrices_of(plain),
        worst=worst_cases(run, plain),
        special=special_values_of(run, special),
        special_matrices=matrices_of(special, linked=False),
        question=question_of(run, plain),
        disagreements=disagreements_of(plain),
        implemented=implemented_of(plain),
        profiles=profiles_of(run),
        changes=changes_of(run),
        unmeasured=tuple((u.name, u.reason) for u in run.manifest.unmeasured),
        environment=tuple(_environment(run)),
    )


def _environment(run: Run) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    manifest = run.manifest
    machine = {
        "processor": manifest.cpu,
        "GPU": manifest.gpu or "none",
        "platform": manifest.platform,
        "Python": manifest.python,
    }
    made = {
        "created": manifest.created,
        "tier": manifest.tier,
        "selection": "; ".join(f"{k}: {', '.join(v)}" for k, v in manifest.selection.items() if v) or "everything",
        "cells": f"{whole(len(run.records))} of {whole(manifest.planned)}",
        "elements judged": whole(sum(r.elements for r in run.records)),
        **{f"seconds ({name})": str(value) for name, value in manifest.seconds.items()},
        "seed": manifest.seed,
        "sha256 of the inputs": manifest.inputs_sha256 or "not written",
        "git commit": manifest.git_commit or "unknown",
        "schema": str(manifest.schema),
    }
    groups = {
        "Packages": manifest.packages,
        "Machine": machine,
        "Run": made,
        "Reference": _reference(run),
        **{f"Settings of {name}": settings for name, settings in manifest.settings.items()},
        "Environment variables": manifest.environment or {"of the families that change bits": "none set"},
    }
    return [(name, tuple((k, v or "empty") for k, v in group.items())) for name, group in groups.items()]


def _reference(run: Run) -> dict[str, str]:
    """Which reference judged, how far it is off at most, and how many elements only the oracle could decide."""
    counts = [r.elements_by_tier for r in run.records if r.elements_by_tier is not None]
    judges = dict.fromkeys(main_tier(c) for c in counts)
    by_mpmath = whole(sum(c.get(TIERS[MPMATH], 0) for c in counts))
    unknown = "not counted when this run was made" if run.records else "nothing"
    errors = [r.reference_error_ulps for r in run.records]
    return {
        "judged by": listing(judges) or unknown,
        "largest error bound": f"{significant(max(errors))} ulp of the output format" if errors else "n/a",
        "elements that fell to mpmath": by_mpmath if len(counts) == len(run.records) else unknown,
    }
