"""The sentences that explain the tables, the same on every page."""

from __future__ import annotations

from reports.facts.sentences import Sentence


def _paragraphs(*texts: str) -> tuple[Sentence, ...]:
    return tuple(map(Sentence, texts))


MATRIX = _paragraphs(
    "Each entry is the worst verdict over its cells (families of inputs, layouts and row lengths; `docs/families.md` "
    "says how each family is made, and the special values have their own table) and the largest ulp error among them; "
    "one that fails says in how many cells. An ulp is one of the format, at the exact value; an infinity counts as the "
    "number that would follow the largest one, and NaN has none.",
    "Ulps rank, the bound decides. For gradients the bound ratio (error over a-priori bound; `b` below) says more: "
    "where terms cancel, millions of ulps mean little. An entry leads to its worst case.",
)

WORST = _paragraphs(
    "For each entry of the matrix, the worst element of its worst cell: a wrong one, else the one farthest beyond its "
    "bound, else the one with the most ulps. `docs/families.md` says how each family of inputs is made. Vectors are "
    "bit patterns, a row each; those of more than 32 elements lie in the run directory.",
    "What the bound allows is split over its parts: shift is the rounding of x - max; exp, sum, division, log and "
    "difference are the steps of the forward function; saved output is the rounding of what a gradient starts from, "
    "kernel what the gradient does with it, and output rounding the last one, to a narrower format. A part is certain "
    "as far as the others together can't account for the error.",
)

SPECIAL_CONTRACT = Sentence(
    "A NaN or +inf logit, or a row of -inf alone, makes the whole row NaN, gradients too. A -inf logit beside finite "
    "ones is masked: softmax 0, log_softmax -inf, and gradients by the formulas with s = 0. Below, each row at three "
    "binary32 logits and what it has to give, correctly rounded."
)

SPECIAL_DEPARTURES = Sentence(
    "A record keeps one element of its cell, so a row that is not named here may be off the contract as well."
)

PAIRS = Sentence(
    "Both calls on the same inputs, over the cells that both have. The last column counts the cells in which "
    "log(softmax(x)) has the worse, the same and the better verdict."
)

PROFILES = Sentence(
    "The same cells in other environments: instruction sets, threads, compiler flags, a card. What a "
    "profile selected was read back from the framework; the cells with the same bits are those whose output does not "
    "depend on it."
)

WRONG = Sentence(
    "Failing cells of every profile, gathered by the entries of `suites/known_defects.toml`; errors are in units of "
    "the bound. The test suite asserts each entry, so that what is fixed or gets worse is noticed."
)
WRONG_LAWS = Sentence(
    "What these versions were recorded to break of the laws that results keep (`docs/laws.md`): sizes are times the "
    "bound, or ulps where bits should be equal. `pytest` asserts them; this run does not measure them."
)

CHANGES = Sentence(
    "No framework promises the same bits from one environment, layout or batch to another. Each line compares results "
    "for the same rows, in circumstances that differ in one thing alone. The largest difference is that of the rows "
    "that were tried, so a lower bound: in ulps of the largest number in the row of results and cotangents, and of the "
    "element itself, which are many where a sum cancels. Nothing here is a failure: both results are judged by their "
    "own errors."
)

DISAGREEMENTS = Sentence(
    "Another framework is no reference: where two disagree, the exact values say which one is nearer. Both calls got "
    "the same bits in the same layout. Of the cells whose results differ, the last columns count those in which the "
    "largest error over its bound is smaller for the first, smaller for the second, and equal."
)

TIMING = Sentence(
    "Paired, interleaved calls on binary32 rows; a ratio is the time of log(softmax(x)) over that of log_softmax(x). "
    "`slower` if the lower quartile of the ratios is above 1.05, `faster` if the upper one is below 0.95."
)

THEORY = _paragraphs(
    "With m = max x, d = x - m and S = sum exp d, softmax is exp(d) / S and log_softmax is d - log S; in exact "
    "arithmetic the logarithm of the one is the other.",
    "Underflow: `log(softmax(x))` rounds the softmax to the format first. Where it is subnormal it has lost bits; "
    "below half the smallest subnormal number it is zero, and its logarithm -inf for an ordinary exact value. The "
    "chain rule divides by that softmax, so its gradients become 0/0 or infinite.",
    "Absorption: `x - logsumexp(x)` forms m + log S at the size of m, and what of log S is below an ulp of m is gone "
    "before the subtraction. d - log S has no such step: x - m is one rounding, and exact on a common grid.",
    "No shift: without the maximum taken out, exp(x) overflows, or every one of them vanishes and the sum is zero.",
    "Near zero: under a dominant logit S = 1 + T rounds to 1, and d - log S gives 0 where the exact value is about -T. "
    "The absolute bound permits that, so it is `stable`; log1p(T), summed without the maximum, would keep it.",
)

IMPLEMENTED = _paragraphs(
    "`softmax` and `log_softmax` are names of many kernels: which one runs depends on the axis, the sizes, the format, "
    "the instruction set and the number of threads. Below are the paths that the cells of this run took, special "
    "values aside, where their source is upstream, and what was found on each, implementation by "
    "implementation. A cell counts for every path that it took, so a verdict may be another path's fault.",
    "`softmax-accuracy explain --path --shape 64x1000 --axis 0` prints the paths of any shape, with their boundaries "
    "and the depth of their sums.",
)

THRESHOLDS = Sentence(
    "Natural logarithms of the largest number, of the smallest normal one and of half the smallest subnormal one: "
    "exp(x) overflows above the first; a softmax whose logarithm is below the second loses bits (a platform that "
    "flushes subnormal numbers returns zero), and below the third it is zero."
)
