"""The command line: ``softmax-accuracy VERB``.  Verbs import what they need when they run, so that --help is quick."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from reports.console.exits import INCOMPLETE, OK, USAGE
from reports.console.lines import PROGRAM, complain


class _Escaped(Exception):
    """An exception that click would take for the end of its terminal, on its way past click."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _Group(click.Group):
    """Keeps click from its own answers: 1 to a closed pipe, "aborted" to the EOFError of any file that is too short."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **named)
        except (BrokenPipeError, EOFError) as error:
            raise _Escaped(error) from None

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (BrokenPipeError, EOFError) as error:
            raise _Escaped(error) from None


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        try:
            version = importlib.metadata.version(PROGRAM)
        except importlib.metadata.PackageNotFoundError:
            version = "(not installed: run from a clone)"
        click.echo(f"{PROGRAM} {version}")
        context.exit()


Command = Callable[..., Any]


class _Words(click.Option):
    """An option that takes words of ``reports.vocabulary``: its help names all of them, and none else gets through."""

    def __init__(self, *names: Any, kind: str, **named: Any) -> None:
        super().__init__(*names, **named)
        self._kind, self._text = kind, self.help

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        from reports.vocabulary import WORDS

        self.help = f"{self._text}: {', '.join(WORDS[self._kind])}."
        return super().get_help_record(context)

    def type_cast_value(self, context: click.Context, value: Any) -> Any:
        """Each word as the program names it, friendly names too.  Raises UsageError, with the words that are known."""
        from reports.vocabulary import known

        words = super().type_cast_value(context, value)
        if words is None or isinstance(words, tuple):
            return known(self._kind, words or ()) if words is not None else None
        return known(self._kind, (words,))[0]


def _words(name: str, kind: str, text: str, *variable: str, **named: Any) -> Callable[[Command], Command]:
    return click.option(f"--{name}", *variable, cls=_Words, kind=kind, help=text, **named)


class _PathName(click.Path):
    """A path; an empty word is not the directory that the program happens to run in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value) or "\0" in str(value):
            self.fail(f"{value!r} is no path; name one", param, ctx)
        return super().convert(value, param, ctx)


# Whether a file can be read is for the verbs to find out.
_PATH = _PathName(path_type=Path, readable=False)

# Which cells are measured; `reports.console.selection` reads these.
_SELECTION = (
    _words("tier", "tier", "How much is measured", default="standard", show_default=True),
    _words("operation", "operation", "Only these", "operations", multiple=True),
    _words("quantity", "quantity", "Only these; vjp is the gradient", "quantities", multiple=True),
    _words("format", "format", "Only these", "formats", multiple=True),
    _words("layout", "layout", "Only these axes and arrangements in memory", "layouts", multiple=True),
    _words("family", "family", "Only these families of inputs (docs/families.md)", "families", multiple=True),
    _words("profile", "profile", "Only these (docs/profiles.md); cards are cuda, cuda:N", "profiles", multiple=True),
    _words("device", "device", "Where it is computed; all is the CPU and a card", default="cpu", show_default=True),
)

# What is demanded of a comparison, and where it is written.
_COMPARISON = (
    _words(
        "fail-on",
        "--fail-on",
        "Exit 1 where a cell is this (worse by default), or falls below this verdict",
        multiple=True,
        metavar="WORD",
    ),
    click.option("--allow", type=_PATH, metavar="FILE", help="Accepted changes (TOML)."),
    click.option("--markdown", "markdown_file", type=_PATH, help="Write Markdown (- for stdout)."),
    click.option("--html", "html_file", type=_PATH, help="Write a self-contained page."),
    click.option("--json", "json_file", type=_PATH, help="Write every cell that isn't identical."),
)


def _with(options: Iterable[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Give a command some options, shown in their order."""

    def given(command: Command) -> Command:
        return functools.reduce(lambda made, option: option(made), reversed(tuple(options)), command)

    return given


@click.group(
    cls=_Group,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """How accurate is the softmax you call?  Values and gradients against a certified mpmath oracle.

    \b
    Exit codes: 0 nothing worse; 1 worse than allowed; 2 usage, configuration or I/O;
    3 incomplete (a cell could not be measured, a named framework or device is missing);
    4 nothing compared; 70 a fault of this program.  Where 1 and 3 both hold it is 1.
    """


@cli.command()
@click.option("--out", type=_PATH, default="softmax-accuracy-run", show_default=True, help="Run directory.")
@_with(_SELECTION)
@_words("framework", "framework", "Only these; exit 3 where one of them is not installed", "frameworks", multiple=True)
@click.option(
    "--require-device",
    is_flag=True,
    help="Exit 3 where any framework lacks a GPU that --device asks for, not only one named by --framework.",
)
@click.option("--python", metavar="PATH", help="Measure the frameworks of another Python (3.9 or newer, with NumPy).")
@click.option("--implementation", metavar="FILE.py:NAME", help="Measure your own NAME(x, axis); needs --framework.")
@_words("require", "verdict", "Exit 1 where a cell is worse than this", metavar="VERDICT")
def measure(out: Path, tier: str, require: str | None, **filters: Any) -> int:
    """Measure the installed frameworks and write a run directory, with an error and a verdict for each cell.

    A cell is one call of a framework on one kind of rows, in one format.  Give the same command again to continue an
    interrupted run.
    """
    from reports.verbs.measure import measure_verb

    return measure_verb(out, tier, require, **filters)


@cli.command()
@click.argument("runs", metavar="RUN...", type=_PATH, nargs=-1, required=True)
@click.option("--history", is_flag=True, help="Show errors over versions, from two runs or more.")
@click.option("--html", "html_file", type=_PATH, help="Write a self-contained page.")
@click.option("--markdown", "markdown_file", type=_PATH, help="Write Markdown (- for the terminal).")
@click.option("--verify", is_flag=True, help="First judge every worst element again; exit 2 if one differs.")
def report(
    runs: tuple[Path, ...], history: bool, html_file: Path | None, markdown_file: Path | None, verify: bool
) -> int:
    """Write the report of a run: HTML and Markdown into its directory, or where the options say.

    With --history, one page about any number of runs; as Markdown on the terminal if no file is named.
    """
    if history and verify:
        raise click.UsageError("--verify goes with one RUN, and not with --history.")
    if history:
        from reports.verbs.history import history_verb

        return history_verb(runs, html_file, markdown_file)
    if len(runs) > 1:
        raise click.UsageError(f"report takes one RUN, not {len(runs)}; --history takes several.")
    from reports.verbs.report import report_verb

    return report_verb(runs[0], html_file, markdown_file, verify=verify)


# Logits may begin with a minus sign; -inf must not be taken for the options -i, -n and -f.
@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("logits", nargs=-1)
@_words("format", "format", "What the logits are rounded to", "format_name", default="binary32", show_default=True)
@click.option("--element", type=int, help="Show the gradient of this element; the smallest finite logit by default.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, with bits in hexadecimal.")
@click.option("--all", "every", is_flag=True, help="Show every way to call a framework; torch.compile takes a while.")
@click.option("--path", "paths_wanted", is_flag=True, help="Show which kernels and functions run, and where they are.")
@click.option("--shape", metavar="AxBxC", help="With --path: an array of these sizes in place of a row of logits.")
@click.option("--axis", type=int, help="With --path: the axis that is reduced; the last by default.")
@_words("operation", "operation", "With --path, only these", multiple=True)
@_words("quantity", "quantity", "With --path, only these", multiple=True)
@_words("framework", "framework", "With --path, only these", multiple=True)
def explain(
    logits: tuple[str, ...],
    format_name: str,
    element: int | None,
    as_json: bool,
    every: bool,
    paths_wanted: bool,
    **of_paths: Any,
) -> int:
    """Print one row as every formula and installed framework computes it: value, exact value, ulp error, gradient.

    LOGITS are decimals or hexadecimal floats, -inf and nan too:  explain 0 1000   explain -0x1.8p3 -inf 2.5

    With --path, print which kernels run:  explain --path --shape 64x1000 --axis 0 --format bfloat16
    """
    from reports.verbs.explain import explain_verb
    from reports.verbs.explain_paths import explain_paths_verb, only_with_path

    if paths_wanted:
        return explain_paths_verb(logits, format_name, element, as_json, **of_paths)
    only_with_path(logits, **of_paths)
    return explain_verb(logits, format_name, element, as_json, every)


@cli.command()
@click.argument("rows", type=_PATH)
@_words("operation", "operation", "One of", required=True)
@_words("quantity", "quantity", "One of", required=True)
@_words("format", "golden format", "What the results are rounded to", "format_name", required=True)
@click.option("--cotangent", type=_PATH, help="For vjp and hvp; shaped like ROWS.")
@click.option("--tangent", type=_PATH, help="For jvp and hvp; shaped like ROWS.")
@click.option("--out", type=_PATH, required=True, help="The .npz to write.")
@click.option("--c-header", "header", type=_PATH, help="Write the same as a C header too.")
def golden(rows: Path, **options: Any) -> int:
    """Write certified exact results (golden vectors) for a kernel's tests: correctly rounded, and to 106 bits.

    ROWS is a .npy file of binary64 numbers, [rows, n], each of which the format holds.
    """
    from reports.inspect.golden import golden_verb

    return golden_verb(rows, **options)


@cli.command()
@click.argument("run", type=_PATH)
@click.argument("cell")
@click.option("--script", is_flag=True, help="Print a script that needs only the framework and mpmath.")
@click.option("--python", metavar="PATH", help="Run it on the frameworks of another Python.")
def replay(run: Path, cell: str, script: bool, python: str | None) -> int:
    """Run one cell's worst case again, in its profile.  CELL is its key, or a unique prefix of the key's sha256."""
    from reports.verbs.replay import replay_verb

    return replay_verb(run, cell, script, python)


@cli.command()
@click.argument("run", type=_PATH)
@click.option("--out", type=_PATH, default="-", show_default=True, help="The file (- for stdout).")
def baseline(run: Path, out: Path) -> int:
    """Reduce a run to a small sorted file, with which pytest --baseline compares later versions."""
    from reports.verbs.baseline import baseline_verb

    return baseline_verb(run, out)


@cli.command()
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@_with(_COMPARISON)
@_words("framework", "framework", "Only these", multiple=True)
@_words("operation", "operation", "Only these", multiple=True)
@_words("quantity", "quantity", "Only these", multiple=True)
@_words("format", "format", "Only these", multiple=True)
@_words("layout", "layout", "Only these", multiple=True)
@_words("family", "family", "Only these", multiple=True)
def compare(
    old: Path,
    new: Path,
    fail_on: tuple[str, ...],
    allow: Path | None,
    markdown_file: Path | None,
    html_file: Path | None,
    json_file: Path | None,
    **filters: tuple[str, ...],
) -> int:
    """Compare two runs, cell by cell: identical, changed, improved, worse, broken, and whether that is signed off.

    \b
    Exit codes: 0 signed off; 1 worse, or an entry of --allow that is stale; 2 usage or I/O;
    3 cells are missing or can't be compared; 4 nothing was compared.
    """
    from reports.verbs.compare import compare_verb

    return compare_verb(
        old,
        new,
        fail_on,
        allow,
        markdown_file=markdown_file,
        html_file=html_file,
        json_file=json_file,
        filters=filters,
    )


@cli.command()
@click.argument("requirements", metavar="REQ_OLD REQ_NEW", nargs=-1)
@click.option("--old-python", metavar="PATH", help="Measure this Python in place of REQ_OLD.")
@click.option("--new-python", metavar="PATH", help="Measure this Python in place of REQ_NEW.")
@click.option(
    "--python", metavar="PATH", help="Make the environments with this Python (default: the one that runs this)."
)
@click.option("--installer", default="pip", show_default=True, help="pip or uv.")
@click.option("--out", type=_PATH, default="softmax-accuracy-audit", show_default=True, help="Directory.")
@_with(_SELECTION)
@_words("framework", "framework", "Only these of what both sides have", "frameworks", multiple=True)
@_with(_COMPARISON)
@click.option(
    "--bisect", metavar="CELL", help="Find the first version in which this cell changed: worst, a key, or its sha256."
)
@click.option("--swap/--no-swap", default=True, show_default=True, help="Swap packages one at a time, for the causes.")
def audit(requirements: tuple[str, ...], out: Path, tier: str, **options: Any) -> int:
    """Measure two versions, each in an environment of its own, and say whether one may upgrade.

    \b
    audit jax==0.9.2 jax==0.10.2
    audit "numpy==1.26.4 scipy==1.13.1" "numpy==2.4.6 scipy==1.17.1"
    audit --old-python old/bin/python --new-python new/bin/python

    Give the same command again to continue an interrupted audit.

    \b
    Exit codes: 0 signed off; 1 worse, or an entry of --allow that is stale; 2 usage, I/O, an environment that
    can't be made; 3 cells are missing or can't be compared; 4 nothing was compared.
    """
    from reports.verbs.audit import AuditRequest, audit_verb

    return audit_verb(AuditRequest(requirements, out, tier, **options))


def run() -> int:
    """Obey the command line and give the exit code: a user's mistake is one line on stderr, without a traceback.

    Raises what nobody has foreseen; ``reports.entry`` answers for that.
    """
    try:
        code = cli.main(standalone_mode=False, prog_name=PROGRAM)
    except click.UsageError as error:
        remedy = f" {error.ctx.command_path} --help says what there is" if error.ctx else ""
        return complain(error.format_message() + remedy, USAGE)
    except click.ClickException as error:
        return complain(error.format_message(), USAGE)
    except click.Abort:
        return complain("interrupted", INCOMPLETE)
    except _Escaped as escaped:
        raise escaped.error from None
    except ImportError:
        raise
    except Exception as error:
        from reports.verbs.errors import KNOWN_ERRORS  # the ones that speak to people; others are bugs

        for kind, known_code in KNOWN_ERRORS.items():
            if isinstance(error, kind):
                return complain(str(error), known_code)
        raise
    return code if isinstance(code, int) else OK
