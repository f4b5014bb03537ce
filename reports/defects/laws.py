"""The [[law_defect]] entries against the installed frameworks: their figures now, and the breaches no entry selects.

``python -m reports.defects.laws [--write] [FRAMEWORK ...]``
"""

from __future__ import annotations

import sys
from collections import Counter

from reports.defects.toml import rewritten
from suites.driver.pool import stop_workers
from suites.implementations.catalogue import FRAMEWORKS, of_frameworks, versions_of
from suites.known_defects import FILE
from suites.laws.known_law_defects import TABLE, LawDefect, fingerprint, law_defect_of, law_defects
from suites.laws.trials import Broken, Trials
from suites.plan.cell import Selection
from suites.worker.environment import profile_of


def measured_fields(defect: LawDefect, broken: list[Broken]) -> dict[str, str]:
    """The lines of an entry that are measured, as TOML values."""
    sizes = [b.breach.size for b in broken]
    return {
        "profile": f'"{profile_of(defect.framework)}"',
        "size": f"[{min(sizes):.8g}, {max(sizes):.8g}]",
        "breaches": str(len(broken)),
        "fingerprint": f'"{fingerprint(broken)}"',
    }


def main(arguments: list[str]) -> int:
    """Try every law of the standard tier and print what breaks one; 1 where no entry selects it."""
    write = "--write" in arguments
    frameworks = tuple(a for a in arguments if a != "--write")
    if not set(frameworks) <= set(FRAMEWORKS):
        print(f"usage: python -m reports.defects.laws [--write] [{' | '.join(FRAMEWORKS)}]", file=sys.stderr)
        return 2
    trials = Trials(of_frameworks(frameworks), Selection())
    try:
        broken = trials.all_broken(trials.planned())
    finally:
        stop_workers()
    versions = {framework: versions_of(framework).get(framework, "0") for framework in FRAMEWORKS}
    owner = {b.key: law_defect_of(b, versions[b.subject.framework]) for b in broken}
    fields = {}
    for defect in law_defects():
        mine = [b for b in broken if owner[b.key] is defect]
        if mine:
            measured = measured_fields(defect, mine)
            print(defect.id, *measured.values(), sep="  ")
            if defect.has_figures_of(versions[defect.framework]):  # those of `also` are not the entry's
                fields[defect.id] = measured
        else:
            print(f"{defect.id}  nothing breaks its laws here")
    new = [b for b in broken if owner[b.key] is None]
    for (name, *rest), count in sorted(Counter(map(_group, new)).items()):
        largest = max((b.breach for b in new if _group(b) == (name, *rest)), key=lambda breach: breach.size)
        print("NEW", name, *rest, f"{count} subjects", f"{largest.size:.6g} {largest.unit}", sep="  ")
        print(largest.text)
    if write:
        FILE.write_text(rewritten(FILE.read_text(encoding="utf-8"), TABLE, fields), encoding="utf-8")
    return 1 if new else 0


def _group(broken: Broken) -> tuple[str, ...]:
    subject = broken.subject
    return broken.law, subject.implementation.name, subject.operation, subject.quantity, subject.format_name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
