"""The summary of a run: one sentence, and what follows from the data for each implementation and operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from references.formats import FORMATS
from references.verdict.ladder import BELOW_STABLE, FAILED, LADDER, rank
from references.vocabulary import QUANTITIES
from reports.facts.sentences import Sentence, listed, together
from reports.facts.tally import GRADIENTS, Tally, entry_of, main_profile
from reports.run.records import Record, Run
from reports.wording import count, lengths, listing, whole
from suites.implementations.catalogue import CATALOGUE, framework_named
from suites.implementations.implementation import FORMULA
from suites.inputs import special
from suites.vocabulary import LAYOUTS

_MOST_FAMILIES = 4
_ANY = ("any format measured",)


@dataclass(frozen=True)
class Share:
    """How many cells of an implementation have each verdict, worst first."""

    implementation: str
    cells: int
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class CallFinding:
    """What was found of one implementation and operation: the formats with each verdict, best first."""

    implementation: str
    operation: str
    call: str
    forward: tuple[tuple[str, str], ...]
    gradients: tuple[tuple[str, str], ...]
    breaks: Sentence


@dataclass(frozen=True)
class Summary:
    title: str
    subject: str
    sentence: str
    incomplete: bool
    notes: tuple[str, ...]
    headlines: tuple[Sentence, ...]
    findings: tuple[CallFinding, ...]
    shares: tuple[Share, ...]


def summary_of(run: Run, tally: Tally) -> Summary:
    """The summary; ``tally`` is that of the ordinary families."""
    return Summary(
        title="Accuracy of softmax and log_softmax",
        subject=listing(versions(run)) or "nothing measured",
        sentence=_sentence(run),
        incomplete=is_incomplete(run),
        notes=tuple(_notes(run)),
        headlines=(*_whose_failures(run), *_headlines(tally)),
        findings=tuple(
            _finding(name, operation, tally)
            for name in tally.implementations
            for operation in tally.operations
            if _worth_naming(name, tally.of(name, operation))
        ),
        shares=_shares(run),
    )


def is_incomplete(run: Run) -> bool:
    return not run.manifest.finished or len(run.records) < run.manifest.planned


def versions(run: Run) -> list[str]:
    """``torch 2.13.0`` and so on, of the frameworks that have records, in the order of the page."""
    recorded = {r.implementation: (r.framework, r.version.split(" ")[0]) for r in run.records}
    found = dict(recorded[name] for name in Tally(run, run.records).implementations)
    return [f"{name} {run.manifest.packages.get(name, version)}".strip() for name, version in found.items()]


def _sentence(run: Run) -> str:
    manifest, records = run.manifest, run.records
    cells = f"{whole(len(records))} of {count(manifest.planned, 'cell')}"
    start = f"Incomplete: {cells}" if is_incomplete(run) else cells
    if not records:
        return f"{start} measured on {manifest.cpu} ({manifest.tier} tier): there is nothing to judge."
    selected = [f"{name}: {', '.join(values)}" for name, values in manifest.selection.items() if values]
    where = f"{manifest.cpu}{f' and {manifest.gpu}' if manifest.gpu else ''}"
    how = "; ".join([f"{manifest.tier} tier", *selected])
    verdicts = [f"{whole(number)} {verdict}" for verdict, number in _counts(records)]
    return f"{start} of {listing(versions(run))} on {where} ({how}) were judged: {listing(verdicts)}."


def _counts(records: Iterable[Record]) -> tuple[tuple[str, int], ...]:
    verdicts = [record.verdict for record in records]
    return tuple((v, number) for v in LADDER if (number := verdicts.count(v)))


def _shares(run: Run) -> tuple[Share, ...]:
    names = Tally(run, run.records).implementations
    of = {name: [r for r in run.records if r.implementation == name] for name in names}
    return tuple(Share(name, len(records), _counts(records)) for name, records in of.items())


def _notes(run: Run) -> list[str]:
    notes: list[str] = []
    open_ended = sorted({r.evidence for r in run.records} - {"exhaustive"})
    if open_ended:
        which = "All maxima" if all(r.evidence != "exhaustive" for r in run.records) else "Maxima of cells so marked"
        notes.append(
            f"{which} are over {listing(open_ended)} inputs: lower bounds of the true maxima, never upper ones."
        )
    if any(r.family == special.FAMILY for r in run.records):
        notes.append(
            "The findings below leave out the special values (NaN, infinities), which have a table of their own."
        )
    main, others = main_profile(run), {r.profile for r in run.records}
    if len(others) > 1:
        template = Sentence("The tables are of profile `{}`; what the other profiles change has a table of its own.")
        notes.append(template.filled(main))
    flushing = sorted({r.framework for r in run.records if r.flushes})
    if flushing:
        notes.append(
            f"{listing(flushing)} flushed subnormal numbers to zero here, as a probe showed; it is judged with the "
            "smallest normal number where the bounds have the smallest subnormal one, so what is flushed counts many "
            "ulps and may still be accurate."
        )
    assumed = sum(r.order_assumed for r in run.records)
    if assumed:
        notes.append(
            f"In {count(assumed, 'cell')} the rows are so long that the bound assumes a pairwise order of summation."
        )
    for missing in run.manifest.unmeasured:
        notes.append(f"Not measured: {missing.name} ({missing.reason}).")
    return notes


def _whose_failures(run: Run) -> list[Sentence]:
    """How many failures belong to formulas that are written out to be compared, and how many to anything else."""
    failed = [r.implementation for r in run.records if r.verdict in FAILED]
    written_out = sum(map(is_written_out, failed))
    if not written_out:
        return []
    template = Sentence(
        "Of {} {} belong to formulas written out for comparison (`numpy/…`, `…/log-of-softmax` and "
        "`…/x-minus-logsumexp`), {} to the functions that frameworks offer."
    )
    others = whole(len(failed) - written_out)
    return [template.filled(count(len(failed), "unstable or wrong cell"), whole(written_out), others)]


def is_written_out(implementation: str) -> bool:
    """Whether an implementation is a formula that is there to be compared, not a function that a framework offers."""
    found = CATALOGUE.get(implementation)
    return found is not None and (found.kind == FORMULA or framework_named(found.framework).written_out)


def _headlines(tally: Tally) -> list[Sentence]:
    """Which implementations never fail, by the formats in which they do not."""
    sound: dict[tuple[str, ...], list[Sentence]] = {}
    for name in tally.implementations:
        records = [r for r in tally.records if r.implementation == name]
        failing = {r.format for r in records if r.verdict in FAILED}
        measured = {r.format for r in records}
        formats = tuple(f for f in tally.formats if f in measured - failing) if failing else _ANY
        only = "" if any(r.quantity == "forward" for r in records) else " (gradients only)"
        sound.setdefault(formats, []).append(Sentence("`{}`{}").filled(name, only))
    ordered = sorted(sound.items(), key=lambda item: (item[0] != _ANY, -len(item[0])))
    some, none = (
        Sentence("No unstable or wrong cell in {}: {}."),
        Sentence("Unstable or wrong cells in every format: {}."),
    )
    return [
        some.filled(listing(formats), listed(names)) if formats else none.filled(listed(names))
        for formats, names in ordered
    ]


# -- findings --------------------------------------------------------------------------------------------------------


def _worth_naming(name: str, records: list[Record]) -> bool:
    """Whatever was measured of a main implementation or a user's own; of the other ways to call, what fails.

    (The headlines name those that don't, and the matrix has them all.)
    """
    known = CATALOGUE.get(name)
    return bool(records) and (known is None or known.main or any(r.verdict in FAILED for r in records))


def _finding(name: str, operation: str, tally: Tally) -> CallFinding:
    records = tally.of(name, operation)
    return CallFinding(
        implementation=name,
        operation=operation,
        call=records[0].call,
        forward=_by_format(name, operation, ("forward",), tally),
        gradients=_by_format(name, operation, GRADIENTS, tally),
        breaks=_breaks(records),
    )


def _by_format(name: str, operation: str, quantities: tuple[str, ...], tally: Tally) -> tuple[tuple[str, str], ...]:
    """(stable, binary64 and binary32), (wrong, binary16): the worst verdict over the families, for each format."""
    formats: dict[str, list[str]] = {}
    for format in tally.formats:
        entry = entry_of(tally.of(name, operation, quantities, format))
        if entry:
            formats.setdefault(entry.verdict, []).append(format)
    if len(formats) == 1 and len(tally.formats) > 1:
        verdict, found = next(iter(formats.items()))
        return ((verdict, "every format" if len(found) > 1 else found[0]),)
    return tuple((verdict, listing(formats[verdict])) for verdict in sorted(formats, key=rank, reverse=True))


def _breaks(records: list[Record]) -> Sentence:
    parts: list[Sentence] = []
    for verdict in FAILED:
        failed = [r for r in records if r.verdict == verdict]
        if failed:
            shown = _MOST_FAMILIES if not parts else _MOST_FAMILIES // 2
            where = families(failed, records, shown)
            template = Sentence("{} in {}: {}.")
            parts.append(template.filled(verdict.capitalize(), count(len(failed), "cell"), where))
    if parts:
        return together(parts)
    storage = any(r.verdict in BELOW_STABLE for r in records)
    return Sentence("Nothing unstable or wrong." if storage else "Nothing below stable.")


def families(failed: list[Record], records: list[Record], most: int) -> Sentence:
    """The families that break it, the one with the most failing cells first."""
    families = Counter(r.family for r in sorted(failed, key=lambda r: r.row_length))
    shown: list[str] = [
        Sentence("`{}` ({})").filled(family, _where([r for r in failed if r.family == family], records))
        for family, _ in families.most_common(most)
    ]
    more = len(families) - len(shown)
    return listed([*shown, f"{more} more {'family' if more == 1 else 'families'}"] if more else shown)


def _where(failed: list[Record], records: list[Record]) -> str:
    """Row lengths; and quantities, formats and layouts where not all that were measured at those lengths fail."""
    long = {r.row_length for r in failed}
    parts, alike = [lengths(long)], [r for r in records if r.family == failed[0].family and r.row_length in long]
    for name, order in (("quantity", QUANTITIES), ("format", tuple(FORMATS)), ("layout", LAYOUTS)):
        here, everywhere = ({getattr(r, name) for r in part} for part in (failed, alike))
        if here != everywhere:
            words = listing(word for word in order if word in here)
            parts.append(f"{words} layout" if name == "layout" else words)
    return ", ".join(parts)
