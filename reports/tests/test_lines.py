"""What is said on the terminal: one line each, printable, in any encoding, with nobody's markup."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reports.console.lines import LONGEST, print_line, say
from reports.console.tables import PlainConsole, plain
from reports.tests.conftest import Command
from reports.tests.synthetic import cell, line, write_run

HOSTILE = "[red]x[/red] [link=http://x]y[/link] :smile: \x1b[31m\r\x07\u202e\ud800\n::error::z ##[error]"
SHOWN = "[red]x[/red] [link=http://x]y[/link] :smile: \\x1b[31m \\x07\\u202e\\ud800 ::error::z #\\#[error]"


def test_a_line_is_one_line_of_bounded_length(capsys: pytest.CaptureFixture[str]) -> None:
    for speak in (say, print_line):
        speak(HOSTILE)
        speak("x" * 2 * LONGEST)
    told = capsys.readouterr()
    assert told.out == told.err == f"{SHOWN}\n{'x' * (LONGEST - 3)}...\n"


def test_a_table_takes_text_for_text() -> None:
    from rich.table import Table

    stream = io.StringIO()
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE, no_wrap=True)
    table.add_row(HOSTILE)
    console = PlainConsole(file=stream, width=200, force_terminal=False)
    console.print(table)
    console.print(plain(HOSTILE))
    printed = stream.getvalue()
    assert printed.count("[red]x[/red] [link=http://x]y[/link] :smile: \\x1b[31m") == 4
    assert printed.count("#\\#[error]") == 4
    assert not {"\x1b", "\x07", "\r", "\u202e", "\ud800"} & set(printed)


def hostile_runs(folder: Path) -> tuple[Path, Path]:
    of = cell()
    old = write_run(folder / "old", [line(of)])
    new = write_run(folder / "new", [line(of, output_sha256="2" * 64, path=[])], cpu=f"CPU {HOSTILE}", gpu="→")
    return old, new


def test_a_comparison_says_no_more_lines_than_it_has(command: Command, tmp_path: Path) -> None:
    ran = command("compare", *hostile_runs(tmp_path))
    assert ran.code in (0, 1, 2)  # a reader may refuse such a processor altogether
    assert (ran.out + ran.err).replace("\n", "").isprintable()
    assert not [text for text in (ran.out + ran.err).splitlines() if text.lstrip().startswith("::") or "##[" in text]


def test_an_error_names_a_hostile_path_in_one_line(command: Command) -> None:
    ran = command("report", "no \x1b[31m\n::error::run")
    assert ran.code == 2
    assert ran.complaint().isprintable()
    assert "\\x1b[31m" in ran.complaint()


def test_pages_go_to_a_stream_without_arrows(tmp_path: Path) -> None:
    of = cell()
    old = write_run(tmp_path / "old", [line(of)])
    new = write_run(tmp_path / "new", [line(of, output_sha256="2" * 64)], cpu="Another CPU")
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    for options in (["--markdown", "-"], []):
        command = [sys.executable, "-m", "reports", "compare", str(old), str(new), *options]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, cwd=root, env=ascii_only, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        assert b"Some CPU \\u2192 Another CPU" in done.stdout + done.stderr
        assert b"Traceback" not in done.stderr
