"""Every element of adversarial rows by the bulk reference and by the mpmath oracle: disagreements are counted.

    python -m suites.benchmarks.certification --elements 1000000 --jobs 2 --keep certification.jsonl

mpmath judges all of it: it is the judge of record, and a million elements take it a minute or so.  With ``--keep`` a
line is added to the file for each finished question; given again, the same command goes on from there, unless the
reference has changed.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import click

from references.bulk import batches
from references.bulk.batches import reference
from references.bulk.cache import fingerprint
from references.formats import FORMATS, Floats, format_named
from references.functions import Function, needs_cotangent, needs_tangent
from references.vocabulary import OPERATIONS, QUANTITIES
from suites.benchmarks.adversarial import block, shape_of
from suites.benchmarks.agreement import disagreements

# Elements in a block of rows, and blocks that a process takes at a time.
_SIZE = 512
_BLOCKS = 16

# Disagreements that are kept word for word.
_SHOWN = 5


@dataclass(frozen=True, order=True)
class CertifiedFunction:
    """What is asked of a million rows."""

    format: str
    operation: str
    quantity: str

    def __str__(self) -> str:
        return f"{self.format} {self.operation} {self.quantity}"


@dataclass
class CertificationTally:
    """What came of it: counts, the first disagreements in words, and processor seconds."""

    elements: int = 0
    rows: int = 0
    by_oracle: int = 0
    disagreements: int = 0
    shown: list[str] = field(default_factory=list)
    reference_seconds: float = 0.0
    oracle_seconds: float = 0.0

    def add(self, other: CertificationTally) -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)
        del self.shown[_SHOWN:]

    def line(self, question: CertifiedFunction) -> str:
        share = 100 * self.by_oracle / max(self.elements, 1)
        return (
            f"{question!s:36} {self.elements:9,} elements  {self.disagreements} disagreements  "
            f"{share:5.2f} % by mpmath already  "
            f"{self.elements / max(self.reference_seconds, 1e-9) / 1e6:6.2f} M/s against "
            f"{self.elements / max(self.oracle_seconds, 1e-9) / 1e3:5.1f} k/s"
        )


def certify(question: CertifiedFunction, numbers: Iterable[int], size: int = _SIZE) -> CertificationTally:
    """Judge the blocks of those numbers."""
    format, tally = format_named(question.format), CertificationTally()
    for number in numbers:
        rows = block(format, number, size)
        operation, quantity, logits = question.operation, question.quantity, format.decode(rows.logits)
        vectors: dict[str, Floats] = {}
        if needs_cotangent(quantity):
            vectors["cotangent"] = format.decode(rows.cotangent)
        if needs_tangent(quantity):
            vectors["tangent"] = format.decode(rows.tangent)
        start = time.process_time()
        found = reference(Function(operation, quantity), logits, format, **vectors)
        middle = time.process_time()
        wrong = disagreements(operation, quantity, format, found, logits, list(vectors.values()))
        counts = CertificationTally(logits.size, len(logits), int(found.by_oracle.sum()), len(wrong))
        counts.shown = [f"{question}, {rows.kind}, block {number} of {size}: {text}" for text in wrong[:_SHOWN]]
        counts.reference_seconds, counts.oracle_seconds = middle - start, time.process_time() - middle
        tally.add(counts)
    return tally


# -- all of them -----------------------------------------------------------------------------------------------------


def numbers_for(elements: int, size: int = _SIZE) -> range:
    """The blocks that hold at least so many elements."""
    number, held = 0, 0
    while held < elements:
        rows, n = shape_of(number, size)
        held, number = held + rows * n, number + 1
    return range(number)


def run(
    questions: list[CertifiedFunction], elements: int, jobs: int, keep: Path | None, say: Callable[[str], None]
) -> dict[CertifiedFunction, CertificationTally]:
    """The tally of every question; those that are answered in ``keep`` are not asked again."""
    code = fingerprint(Path(batches.__file__).parents[1])
    answered = _answered(keep, elements, code)
    for question, tally in _tallies([q for q in questions if q not in answered], elements, jobs):
        answered[question] = tally
        if keep is not None:
            line = {"question": asdict(question), "asked": elements, "code": code, "tally": asdict(tally)}
            with keep.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        say(tally.line(question))
        for text in tally.shown:
            say(f"  {text}")
    return {question: answered[question] for question in questions}


def _answered(keep: Path | None, elements: int, code: str) -> dict[CertifiedFunction, CertificationTally]:
    """What an earlier call has kept, of the same code and as many elements; a cut line is left out."""
    found = {}
    for line in keep.read_text(encoding="utf-8").splitlines() if keep is not None and keep.exists() else ():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if data["code"] == code and data["asked"] >= elements:
            found[CertifiedFunction(**data["question"])] = CertificationTally(**data["tally"])
    return found


def _tallies(
    questions: list[CertifiedFunction], elements: int, jobs: int
) -> Iterator[tuple[CertifiedFunction, CertificationTally]]:
    """Each question with its tally, in order; processes that wait for the last blocks of one begin with the next."""
    numbers = numbers_for(elements)
    if jobs == 1:
        yield from ((question, certify(question, numbers)) for question in questions)
        return
    parts = [numbers[start : start + _BLOCKS] for start in range(0, len(numbers), _BLOCKS)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as executor:
        waiting: deque[tuple[CertifiedFunction, list[Future[CertificationTally]]]] = deque()
        for question in questions:
            waiting.append((question, [executor.submit(certify, question, part) for part in parts]))
            if len(waiting) > 1:
                yield _summed(*waiting.popleft())
        while waiting:
            yield _summed(*waiting.popleft())


def _summed(
    question: CertifiedFunction, futures: list[Future[CertificationTally]]
) -> tuple[CertifiedFunction, CertificationTally]:
    tally = CertificationTally()
    for future in futures:
        tally.add(future.result())
    return question, tally


def table(answered: dict[CertifiedFunction, CertificationTally]) -> str:
    """Disagreements / elements: a line for each format, a column for each function."""
    asked = {(q.operation, q.quantity) for q in answered}
    columns = [pair for pair in product(OPERATIONS, QUANTITIES) if pair in asked]
    formats = list(dict.fromkeys(q.format for q in answered))
    lines = [" " * 14 + "".join(f"{' '.join(column):>21}" for column in columns)]
    for format in formats:
        cells = [answered.get(CertifiedFunction(format, *column)) for column in columns]
        words = [f"{cell.disagreements} / {cell.elements:,}" if cell else "" for cell in cells]
        lines.append(f"{format:14}" + "".join(f"{word:>21}" for word in words))
    return "\n".join(lines)


@click.command()
@click.option("--elements", default=5000, show_default=True, help="At least so many for each question.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--keep", type=click.Path(path_type=Path), help="A file of finished questions, to go on from.")
@click.option("--format", "formats", multiple=True, type=click.Choice(list(FORMATS)))
@click.option("--operation", "operations", multiple=True, type=click.Choice(OPERATIONS))
@click.option("--quantity", "quantities", multiple=True, type=click.Choice(QUANTITIES))
def main(
    elements: int,
    jobs: int,
    keep: Path | None,
    formats: tuple[str, ...],
    operations: tuple[str, ...],
    quantities: tuple[str, ...],
) -> None:
    """Certify the bulk reference on adversarial rows; exit 3 where it disagrees with the oracle."""
    asked = product(formats or FORMATS, operations or OPERATIONS, quantities or QUANTITIES)
    questions = [CertifiedFunction(*words) for words in asked]
    answered = run(questions, elements, jobs, keep, click.echo)
    total = CertificationTally()
    for tally in answered.values():
        total.add(tally)
    click.echo(f"\ndisagreements / elements, judged by mpmath:\n{table(answered)}\n")
    click.echo(
        f"{total.disagreements} disagreements in {total.elements:,} elements of {total.rows:,} rows; "
        f"{total.by_oracle:,} elements came from mpmath in the first place"
    )
    sys.exit(3 if total.disagreements else 0)


if __name__ == "__main__":
    main()
