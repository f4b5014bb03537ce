"""The other profiles: what each selected, and what it changed against the profile of the tables."""

from __future__ import annotations

from dataclasses import dataclass

from references.verdict.ladder import FAILED
from reports.facts.tally import main_profile
from reports.run.records import MeasuredProfile, Record, Run
from reports.wording import count, significant, whole


@dataclass(frozen=True)
class ProfileLine:
    """One profile of one framework; ``same`` counts the cells that have the bits of the profile of the tables."""

    framework: str
    profile: str
    asked: str
    selected: str
    cells: str
    same: str
    failing: str
    ratio: str


@dataclass(frozen=True)
class Profiles:
    """``main`` is the profile that all tables but this one are of; ``lines`` are the others."""

    main: str
    lines: tuple[ProfileLine, ...]


def profiles_of(run: Run) -> Profiles:
    main = main_profile(run)
    mine = {_place(r): r for r in run.records if r.profile == main}
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in run.records:
        if record.profile != main:
            groups.setdefault((record.framework, record.profile), []).append(record)
    noted = {(p.framework, p.name): p for p in run.manifest.profiles}
    lines = [_line(records, mine, noted.get(key), noted.get((key[0], main))) for key, records in groups.items()]
    return Profiles(main, tuple(sorted(lines, key=lambda line: (line.framework, line.profile))))


def _place(record: Record) -> tuple[str, ...]:
    """Everything of a cell but its profile."""
    r = record
    return r.implementation, r.operation, r.quantity, r.format, r.layout, r.family, str(r.row_length)


def _line(
    records: list[Record],
    mine: dict[tuple[str, ...], Record],
    noted: MeasuredProfile | None,
    usual: MeasuredProfile | None,
) -> ProfileLine:
    shared = [(r, mine[_place(r)]) for r in records if _place(r) in mine]
    same = sum(r.output_sha256 == other.output_sha256 for r, other in shared)
    failing = [r for r in records if r.verdict in FAILED]
    new = sum(r.verdict in FAILED and other.verdict not in FAILED for r, other in shared)
    ratios = [r.bound_ratio for r in records if r.bound_ratio is not None]
    differs = f"{whole(len(failing))}, of which {whole(new)} only here" if failing else "none"
    return ProfileLine(
        framework=records[0].framework,
        profile=records[0].profile,
        asked=_settings(noted.asked) if noted else "",
        selected=_settings(_changed(noted, usual)) if noted else "",
        cells=whole(len(records)),
        same=f"{whole(same)} of {count(len(shared), 'cell')}" if shared else "n/a",
        failing=differs,
        ratio=significant(max(ratios)) if ratios else "n/a",
    )


def _changed(noted: MeasuredProfile, usual: MeasuredProfile | None) -> dict[str, str]:
    """What a profile selected that the other did not."""
    before = usual.selected if usual else {}
    found = {name: value for name, value in noted.selected.items() if before.get(name) != value}
    return {**found, **({"card": noted.card} if noted.card else {})}


def _settings(settings: dict[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in settings.items()) or "nothing"
