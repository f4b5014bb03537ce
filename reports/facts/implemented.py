"""Where is it implemented?  The cells of a run by the code paths that they took, and what was found on each."""

from __future__ import annotations

from dataclasses import dataclass

from references.verdict.ladder import FAILED
from reports.facts.matrix import MatrixCell, cell_of
from reports.facts.sentences import Sentence
from reports.facts.summary import families
from reports.facts.tally import Tally, entry_of
from reports.run.records import Record
from reports.wording import count, whole
from suites.paths.registry import Path, registry
from suites.paths.summation import ORDERS

_MOST_FAMILIES = 3


@dataclass(frozen=True)
class Found:
    """What was found of one implementation on a path: its worst verdict and errors, and where it breaks."""

    implementation: str
    worst: MatrixCell
    breaks: Sentence


@dataclass(frozen=True)
class PathLine:
    """One path: what it is (empty for one that this registry doesn't know), and what was found on it."""

    id: str
    runs: str
    source: str
    condition: str
    algorithm: str
    known: str
    found: tuple[Found, ...]


@dataclass(frozen=True)
class Implemented:
    """``frameworks`` are (name, its paths in the order of the registry); ``without`` the implementations whose cells
    name no path."""

    frameworks: tuple[tuple[str, tuple[PathLine, ...]], ...]
    without: tuple[str, ...]


def implemented_of(tally: Tally) -> Implemented:
    """The section; ``tally`` is that of the ordinary families.  A cell counts for every path that it took."""
    by_path: dict[str, list[Record]] = {}
    for record in tally.records:
        for id in record.path:
            by_path.setdefault(id, []).append(record)
    known = {path.id: path for path in registry().paths}
    ordered = [id for id in known if id in by_path] + sorted(set(by_path) - set(known))
    grouped: dict[str, list[PathLine]] = {}
    for id in ordered:
        framework = known[id].framework if id in known else "not in this registry"
        grouped.setdefault(framework, []).append(_line(id, known.get(id), by_path[id]))
    without = [
        name for name in tally.implementations if any(not r.path for r in tally.records if r.implementation == name)
    ]
    return Implemented(tuple((name, tuple(lines)) for name, lines in grouped.items()), tuple(without))


def _line(id: str, path: Path | None, records: list[Record]) -> PathLine:
    names = dict.fromkeys(r.implementation for r in records)
    found = tuple(_found(name, [r for r in records if r.implementation == name]) for name in names)
    if path is None:
        return PathLine(id, "", "", "", "", "", found)
    return PathLine(
        id=id,
        runs=path.runs,
        source=f"{path.source}: {path.function}",
        condition=path.condition,
        algorithm=_algorithm(path),
        known="observed" if path.observed_by else "read in the source",
        found=found,
    )


def _algorithm(path: Path) -> str:
    return f"{path.algorithm}. Sum: {ORDERS[path.order].in_words()}." if path.order else f"{path.algorithm}."


def _found(implementation: str, records: list[Record]) -> Found:
    entry = entry_of(records)
    worst = cell_of(entry, gradient=any(r.quantity != "forward" for r in records), linked=False)
    assert worst is not None, "an implementation is listed for its records"
    failed = [r for r in records if r.verdict in FAILED]
    if not failed:
        none = Sentence("nothing unstable or wrong in {}").filled(count(len(records), "cell"))
        return Found(implementation, worst, none)
    where = families(failed, records, _MOST_FAMILIES)
    template = Sentence("{} of {} unstable or wrong: {}")
    return Found(implementation, worst, template.filled(whole(len(failed)), count(len(records), "cell"), where))
