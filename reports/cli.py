"""The command line: ``softmax-accuracy VERB``.  Verbs import what they need when they run, so that --help is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from reports.exits import INCOMPLETE, OK, USAGE

_PROGRAM = "softmax-accuracy"


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        try:
            version = importlib.metadata.version(_PROGRAM)
        except importlib.metadata.PackageNotFoundError:
            version = "(not installed: run from a clone)"
        click.echo(f"{_PROGRAM} {version}")
        context.exit()


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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
    3 incomplete (a cell could not be measured, a named framework is missing).
    """


@cli.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default="softmax-accuracy-run", show_default=True, help="Run directory."
)
@click.option("--tier", default="standard", show_default=True, help="smoke, standard or deep.")
@click.option("--operation", "operations", multiple=True, help="softmax, log_softmax.")
@click.option("--quantity", "quantities", multiple=True, help="forward, vjp, jvp.")
@click.option("--format", "formats", multiple=True, help="binary64, binary32, binary16, bfloat16.")
@click.option("--layout", "layouts", multiple=True, help="last, inner, column.")
@click.option("--family", "families", multiple=True, help="How the logits are made, for example gauss1 or dominant.")
@click.option("--framework", "frameworks", multiple=True, help="torch, jax, scipy, numpy.")
@click.option("--profile", "profiles", multiple=True, help="default, threads-2, aten-avx2, ... (docs/profiles.md).")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:N, or all: the CPU and a card.")
@click.option("--require-device", is_flag=True, help="Exit 3 where the device is not there.")
@click.option("--python", metavar="PATH", help="Measure the frameworks of another Python (3.9 or newer, with NumPy).")
@click.option("--implementation", metavar="FILE.py:NAME", help="Measure your own NAME(x, axis); needs --framework.")
@click.option("--require", metavar="VERDICT", help="Exit 1 where a cell is worse than this.")
def measure(out: Path, tier: str, require: str | None, **filters: Any) -> int:
    """Evaluate and score the installed frameworks into a run directory.

    An interrupted run goes on where it stopped when the same command is given again.
    """
    from reports.verbs import measure_verb

    return measure_verb(out, tier, require, **filters)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write a self-contained page.")
@click.option(
    "--markdown", "markdown_file", type=click.Path(path_type=Path), help="Write Markdown (- for the terminal)."
)
def report(run: Path, html_file: Path | None, markdown_file: Path | None) -> int:
    """Make pages from a run directory; both next to it if neither is named."""
    from reports.verbs import report_verb

    return report_verb(run, html_file, markdown_file)


# Logits may begin with a minus sign; -inf must not be taken for the options -i, -n and -f.
@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("logits", nargs=-1, required=True)
@click.option(
    "--format", "format_name", default="binary32", show_default=True, help="The format that the logits are rounded to."
)
@click.option("--element", type=int, help="Whose gradient is shown; the smallest finite logit's by default.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, with bits in hexadecimal.")
def explain(logits: tuple[str, ...], format_name: str, element: int | None, as_json: bool) -> int:
    """One row through every formula and every installed framework: value, exact value, ulp error, gradient.

    LOGITS are decimals or hexadecimal floats, -inf and nan too:  explain 0 1000   explain -0x1.8p3 -inf 2.5
    """
    from reports.verbs import explain_verb

    return explain_verb(logits, format_name, element, as_json)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("cell")
@click.option("--script", is_flag=True, help="Print a script that needs only the framework and mpmath.")
@click.option("--python", metavar="PATH", help="Run it on the frameworks of another Python.")
def replay(run: Path, cell: str, script: bool, python: str | None) -> int:
    """Run one cell's worst case again, in its profile.  CELL is its key, or a unique prefix of the key's sha256."""
    from reports.verbs import replay_verb

    return replay_verb(run, cell, script, python)


def main() -> None:
    """The console script: a user's mistake is one line on stderr and exit 2, without a traceback."""
    try:
        code = cli.main(standalone_mode=False, prog_name=_PROGRAM)
    except click.UsageError as error:
        remedy = f" {error.ctx.command_path} --help says what there is" if error.ctx else ""
        code = _complain(error.format_message() + remedy, USAGE)
    except click.ClickException as error:
        code = _complain(error.format_message(), USAGE)
    except (click.Abort, KeyboardInterrupt):
        code = _complain("interrupted", INCOMPLETE)
    except Exception as error:  # the ones that speak to people are named by verbs.KNOWN_ERRORS; others are bugs
        from reports.verbs import KNOWN_ERRORS

        for kind, known_code in KNOWN_ERRORS.items():
            if isinstance(error, kind):
                code = _complain(str(error), known_code)
                break
        else:
            raise
    sys.exit(code if isinstance(code, int) else OK)


def _complain(message: str, code: int) -> int:
    click.echo(f"{_PROGRAM}: {' '.join(message.split())}", err=True)
    return code
