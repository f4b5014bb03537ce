"""Measured time ratios in words, and what follows from them by rule."""

from __future__ import annotations

from dataclasses import dataclass

from reports.run.records import Timing
from reports.wording import count, listing, significant

# A median ratio means little on a shared machine; the middle half of the pairs has to lie on one side.
SLOWER, FASTER = 1.05, 0.95
_CONCLUSIONS = ("slower", "faster", "no difference measured")


@dataclass(frozen=True)
class TimingLine:
    """One timing in words; ``conclusion`` is ``slower``, ``faster`` or ``no difference measured``."""

    framework: str
    mode: str
    quantity: str
    shape: str
    ratio: str
    quartiles: str
    microseconds: str
    conclusion: str
    sentence: str


def conclusion_of(timing: Timing) -> str:
    """By rule: slower if the lower quartile is above 1.05, faster if the upper one is below 0.95."""
    if timing.lower_quartile > SLOWER:
        return "slower"
    return "faster" if timing.upper_quartile < FASTER else "no difference measured"


def timing_line(timing: Timing) -> TimingLine:
    shape = " x ".join(map(str, timing.shape))
    quartiles = f"{significant(timing.lower_quartile)}–{significant(timing.upper_quartile)}"
    conclusion, ratio = conclusion_of(timing), significant(timing.ratio)
    return TimingLine(
        framework=timing.framework,
        mode=timing.mode,
        quantity=timing.quantity,
        shape=shape,
        ratio=ratio,
        quartiles=quartiles,
        microseconds=significant(timing.microseconds),
        conclusion=conclusion,
        sentence=(
            f"log(softmax(x)) took {ratio} times (quartiles {quartiles}) the time of log_softmax(x) for rows {shape}, "
            f"{timing.framework} {timing.mode}, {timing.quantity}: {conclusion}"
        ),
    )


def answer_on_time(timings: tuple[TimingLine, ...]) -> str:
    if not timings:
        return "Is log(softmax(x)) slower? Not measured: the run has no timings."
    found = [line.conclusion for line in timings]
    parts = [f"{word} in {found.count(word)}" for word in _CONCLUSIONS if word in found]
    medians = sorted(float(line.ratio) for line in timings)
    spread = f"median time ratios {significant(medians[0])} to {significant(medians[-1])}"
    return f"Is log(softmax(x)) slower? Of {count(len(timings), 'timing')}: {listing(parts)} ({spread})."
