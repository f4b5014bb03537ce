"""A run knows what it measured: an edited kernel is measured anew, a patched package or another suite is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.compare.comparison import compare_runs
from reports.console.exits import INCOMPLETE, OK, USAGE, WORSE
from reports.inspect.replay import replayed
from reports.run import content as run_content
from reports.run.content import suite_content
from reports.run.reader import read_manifest, read_run
from reports.run.records import Run, RunError
from reports.run.writer import RunWriter
from reports.tests.conftest import Command
from reports.tests.synthetic import cell, line, write_run
from reports.tests.test_cli import TINY
from suites.worker.environment import commit_of
from suites.worker.files_read import UNSETTLED

GOOD = """
import numpy as np

def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)
"""
ZEROS = "def softmax(x, axis):\n    return 0 * x\n"
OWN = (
    "measure",
    *TINY,
    "--implementation",
    "kernels.py:softmax",
    "--operation",
    "softmax",
    "--out",
    "run",
    "--require",
    "stable",
)


def files_of(run: Path) -> dict[str, bytes]:
    return {str(f.relative_to(run)): f.read_bytes() for f in sorted(run.rglob("*")) if f.is_file()}


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


# -- own files -------------------------------------------------------------------------------------------------------


def test_an_edited_kernel_is_measured_anew_and_a_line_says_so(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "kernels.py", GOOD)
    assert command(*OWN).code == OK
    write(tmp_path / "kernels.py", ZEROS)
    ran = command(*OWN)
    assert ran.code == WORSE
    assert ran.err.splitlines()[0] == "kernels.py changed since run was begun: what was found of it is measured anew"
    run = read_run(tmp_path / "run")
    assert [r.verdict for r in run.records] == ["wrong"] * 3
    assert run.manifest.finished
    write(tmp_path / "kernels.py", GOOD)
    assert command(*OWN).code == OK
    assert "wrong" not in {r.verdict for r in read_run(tmp_path / "run").records}


def test_nothing_of_the_kernel_that_was_measured_before_is_left(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "kernels.py", ZEROS)
    command(*OWN)
    write(tmp_path / "kernels.py", GOOD)
    command(*OWN)
    told = files_of(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    command(*OWN)
    fresh = files_of(tmp_path / "run")
    assert told.keys() == fresh.keys()
    assert {n for n in told if told[n] != fresh[n]} <= {"manifest.json"}  # its times


LATE = """
import numpy as np

def softmax(x, axis):
    from late import scale
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True) * scale()
"""
BY_MODULE = {"late.py": ("def scale():\n    return 1\n", "def scale():\n    return 0\n")}
BY_DATA = {
    "late.py": ("def scale():\n    return int(open(__file__[:-7] + 'data/scale.txt').read())\n",) * 2,
    "data/scale.txt": ("1", "0"),
}


@pytest.mark.parametrize("files", [BY_MODULE, BY_DATA], ids=["module", "data"])
def test_what_a_kernel_reads_only_when_it_is_called_is_a_part_of_it(
    command: Command, tmp_path: Path, files: dict[str, tuple[str, str]]
) -> None:
    write(tmp_path / "kernels.py", LATE)
    for name, (good, _) in files.items():
        write(tmp_path / name, good)
    assert command(*OWN).code == OK
    content = read_run(tmp_path / "run").manifest.content or {}
    assert {f"own {name}" for name in files} <= content.keys()
    whole = files_of(tmp_path / "run")
    assert (command(*OWN).code, files_of(tmp_path / "run")) == (OK, whole)
    for name, (_, wrong) in files.items():
        write(tmp_path / name, wrong)
    *_, moved = files
    ran = command(*OWN)
    assert ran.code == WORSE
    assert ran.err.splitlines()[0] == f"{moved} changed since run was begun: what was found of it is measured anew"
    assert {r.verdict for r in read_run(tmp_path / "run").records} == {"wrong"}


HERE = "import pathlib\nHERE = pathlib.Path(__file__).parent\n"
SCALED = "    return e / e.sum(axis=axis, keepdims=True) * scale()\n"


def scaled(how: str, at_import: str = "") -> str:
    """A kernel whose result is multiplied by what its function ``scale`` gives."""
    kernel = GOOD.replace("    return e / e.sum(axis=axis, keepdims=True)\n", SCALED)
    return f"{HERE}{at_import}\ndef scale():\n{how}\n{kernel}"


@pytest.mark.parametrize(
    ("kernel", "name", "before", "after"),
    [
        (scaled("    return np.memmap(HERE / 't.bin', np.float32)[0]"), "t.bin", b"\0\0\x80?", b"\0\0\0\0"),
        (scaled("    return int(open(HERE / '.hidden').read())"), ".hidden", b"1", b"0"),
        (scaled("    try: return int(open(HERE / 'c.txt').read())\n    except OSError: return 1"), "c.txt", None, b"0"),
        (scaled("    try: return int(open(HERE / 'c.txt').read())\n    except OSError: return 0"), "c.txt", b"1", None),
        (scaled("    return c", "try: from fast import c\nexcept ImportError: c = 1"), "fast.py", None, b"c = 0"),
        (scaled("    return c", "c = int(open(HERE.parent / 'away.txt').read())"), "../away.txt", b"1", b"0"),
        (
            scaled(
                "    return m.c",
                "import importlib.util as u\ns = u.spec_from_file_location('m', HERE.parent / 'm.py')\n"
                "m = u.module_from_spec(s)\ns.loader.exec_module(m)",
            ),
            "../m.py",
            b"c = 1",
            b"c = 0",
        ),
    ],
    ids=["memory map", "hidden", "made later", "removed", "imported later", "outside at import", "module outside"],
)
def test_whatever_way_a_kernel_reads_a_file_the_file_is_a_part_of_it(
    command: Command, tmp_path: Path, kernel: str, name: str, before: bytes | None, after: bytes | None
) -> None:
    folder = tmp_path / "mine"
    write(folder / "kernels.py", kernel)
    own = [word.replace("kernels.py", "mine/kernels.py") for word in OWN]
    if before is not None:
        (folder / name).write_bytes(before)
    assert command(*own).code == OK
    whole = files_of(tmp_path / "run")
    assert (command(*own).code, files_of(tmp_path / "run")) == (OK, whole)
    if after is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(after)
    ran = command(*own)
    assert ran.code == WORSE
    assert "changed since run was begun: what was found of it is measured anew" in ran.err
    assert command(*own).code == WORSE


def test_a_link_that_leads_elsewhere_now_is_another_file(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write(folder / "kernels.py", scaled("    return int(open(HERE / 'c.txt').read())"))
    write(tmp_path / "one", "1")
    write(tmp_path / "none", "0")
    (folder / "c.txt").symlink_to(tmp_path / "one")
    own = [word.replace("kernels.py", "mine/kernels.py") for word in OWN]
    assert command(*own).code == OK
    (folder / "c.txt").unlink()
    (folder / "c.txt").symlink_to(tmp_path / "none")
    assert command(*own).code == WORSE


@pytest.mark.parametrize("at_import", [False, True], ids=["called", "imported"])
def test_a_file_that_changes_after_it_was_read_is_reported(command: Command, tmp_path: Path, at_import: bool) -> None:
    """What a function has read, and then slept over, is not what lies there when it is asked for its files."""
    write(tmp_path / "c.txt", "1")
    write(tmp_path / "d", "0")
    lines = (
        "c = int(open(HERE / 'c.txt').read())",
        "(HERE / 'c.txt').unlink()",
        "(HERE / 'c.txt').hardlink_to(HERE / 'd')",
    )
    called = "".join(f"    {line}\n" for line in lines)
    write(
        tmp_path / "kernels.py",
        scaled("    return c", "\n".join(lines)) if at_import else scaled(f"{called}    return c"),
    )
    ran = command(*OWN)
    assert ran.code == USAGE
    assert "c.txt" in ran.complaint()
    assert "changed while" in ran.err


def test_the_page_of_a_run_that_nothing_certain_is_known_of_says_so(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "kernels.py", GOOD)
    assert command(*OWN).code == OK
    file = tmp_path / "run" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    manifest["content"]["own kernels.py"] = UNSETTLED
    manifest["finished"] = False
    file.write_text(json.dumps(manifest), encoding="utf-8")
    ran = command("report", "run")
    assert ran.code == INCOMPLETE
    assert "run says nothing certain: kernels.py changed while it was measured; measure again" in ran.err.splitlines()
    assert "every cell should be identical" not in command("compare", "run", "run").out


def test_a_file_that_a_kernel_writes_or_that_is_no_plain_file_is_no_part_of_it(
    command: Command, tmp_path: Path
) -> None:
    notes = "    open(__file__ + '.log', 'a').write('called')\n    open(__file__ + '.log').read()\n"
    write(tmp_path / "kernels.py", GOOD.replace("    e =", f"{notes}    e ="))
    assert command(*OWN).code == OK
    content = read_run(tmp_path / "run").manifest.content or {}
    assert [name for name in content if name.startswith("own ")] == ["own kernels.py"]
    assert "changed since" not in command(*OWN).err


def test_another_file_of_the_same_name_is_not_taken_for_the_one_that_was_measured(
    command: Command, tmp_path: Path
) -> None:
    write(tmp_path / "kernels.py", GOOD)
    assert command(*OWN).code == OK
    write(tmp_path / "other" / "kernels.py", ZEROS)
    ran = command(*(word.replace("kernels.py", "other/kernels.py") for word in OWN))
    assert ran.code == WORSE
    assert {r.verdict for r in read_run(tmp_path / "run").records} == {"wrong"}


def test_an_edited_module_that_a_kernel_imports_is_measured_anew(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    write(tmp_path / "kernels.py", "from kernels_helper import softmax\n")
    write(tmp_path / "kernels_helper.py", GOOD)
    assert command(*OWN).code == OK
    write(tmp_path / "kernels_helper.py", ZEROS)
    ran = command(*OWN)
    assert ran.code == WORSE
    assert "kernels_helper changed since run was begun" in ran.err


def test_a_kernel_that_changes_while_it_is_measured_is_named_and_its_records_not_used(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "kernels.py", GOOD)
    add = RunWriter.add

    def adding(self: RunWriter, *arguments: Any) -> None:
        write(tmp_path / "kernels.py", GOOD + "# another day\n")
        add(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "add", adding)
        ran = command(*OWN)
    assert ran.code == USAGE
    assert ran.complaint() == "kernels.py changed while run was measured; run the same command again"
    write(tmp_path / "kernels.py", GOOD)  # as it was when the run was begun
    again = command(*OWN)
    assert again.code == OK
    assert "kernels.py changed since run was begun" in again.err


def test_a_finished_run_that_is_measured_again_stays_as_it_is_to_the_byte(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "kernels.py", GOOD)
    assert command(*OWN).code == OK
    before = files_of(tmp_path / "run")
    again = command(*OWN)
    assert (again.code, again.err) == (OK, "")
    assert files_of(tmp_path / "run") == before


# -- packages --------------------------------------------------------------------------------------------------------


@pytest.fixture
def other_python(tmp_path: Path) -> tuple[Path, Path]:
    """Another Python, and the folder of the NumPy that it has: links to the files of the one here."""
    venv.create(tmp_path / "venv", with_pip=False)
    place = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    installed = Path(np.__file__).parents[1]
    for folder in (*installed.glob("numpy"), *installed.glob("numpy.libs"), *installed.glob("numpy-*.dist-info")):
        shutil.copytree(folder, place / folder.name, copy_function=os.symlink, ignore=shutil.ignore_patterns("tests"))
    return tmp_path / "venv" / "bin" / "python", place / "numpy"


def test_a_patched_package_of_the_same_version_is_refused_and_distinguished(
    command: Command, tmp_path: Path, other_python: tuple[Path, Path]
) -> None:
    python, numpy = other_python
    arguments = ("measure", *TINY, "--python", python, "--out")
    assert command(*arguments, "run").code == OK
    assert command(*arguments, "run").code == OK
    before = files_of(tmp_path / "run")
    patched = numpy / "matlib.py"
    text = patched.read_text(encoding="utf-8")
    patched.unlink()
    write(patched, text + "# patched\n")
    ran = command(*arguments, "run")
    assert ran.code == USAGE
    assert ran.complaint() == (
        f"run holds a run begun before the files of numpy {np.__version__} changed; choose another --out, or remove it"
    )
    assert files_of(tmp_path / "run") == before
    assert command(*arguments, "again").code == OK
    comparison = compare_runs(tmp_path / "run", tmp_path / "again")
    (difference,) = comparison.differences
    assert (difference.what, difference.subject) == (f"the files of numpy {np.__version__}", True)
    assert difference.old != difference.new
    assert not any("every cell should be identical" in note for note in comparison.notes)
    ran = command("compare", "run", "again")
    assert f"the files of numpy {np.__version__}" in ran.out
    run = read_run(tmp_path / "run")
    replay = replayed(run, run.records[0], str(python))
    assert replay.moved == (f"the files of numpy {np.__version__}",)
    assert f"since then changed: the files of numpy {np.__version__}" in replay.text()
    assert replayed(read_run(tmp_path / "again"), run.records[0], str(python)).moved == ()


def test_an_audit_does_not_go_on_with_an_environment_that_was_patched(
    command: Command, other_python: tuple[Path, Path]
) -> None:
    python, numpy = other_python
    arguments = ("audit", "--old-python", sys.executable, "--new-python", python, *TINY, "--no-swap", "--out", "audit")
    assert command(*arguments).code == OK
    write(numpy / "dropped_in.py", "")
    ran = command(*arguments)
    assert ran.code == USAGE
    assert f"audit/new holds a run begun before the files of numpy {np.__version__} changed; choose" in ran.err


def test_a_package_that_changes_while_it_is_measured_is_reported(
    command: Command, tmp_path: Path, other_python: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    python, numpy = other_python
    add = RunWriter.add

    def adding(self: RunWriter, *arguments: Any) -> None:
        write(numpy / "dropped_in.py", "")
        add(self, *arguments)

    monkeypatch.setattr(RunWriter, "add", adding)
    ran = command("measure", *TINY, "--python", python, "--out", "run")
    assert ran.code == USAGE
    assert ran.complaint() == (
        f"the files of numpy {np.__version__} changed while run was measured; choose another --out and run again"
    )
    manifest = read_manifest(tmp_path / "run")
    assert not manifest.finished
    assert manifest.content is not None
    assert manifest.content["numpy"] == UNSETTLED


# -- the rest of the question ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [("cpu", "Another CPU"), ("platform", "Plan 9"), ("gpu", "A card")])
def test_a_run_of_another_machine_is_not_gone_on_with(copied: Run, name: str, value: str) -> None:
    before = files_of(copied.path)
    with pytest.raises(RunError) as error:
        RunWriter(copied.path, dataclasses.replace(copied.manifest, **{name: value}))  # type: ignore[arg-type]
    told = f"{copied.path} holds a run with another {name}; choose another --out, or remove it"
    assert str(error.value) == told
    assert files_of(copied.path) == before


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("suite", "this suite's own sources"),
        ("judge mpmath", "the files of mpmath, which judges"),
        ("site", "what Python runs as it starts (.pth files, sitecustomize)"),
        ("compiler", "the C++ compiler"),
    ],
)
def test_what_else_the_records_rest_on_is_part_of_the_question(copied: Run, name: str, told: str) -> None:
    assert copied.manifest.content is not None
    changed = dataclasses.replace(copied.manifest, content={**copied.manifest.content, name: "0" * 64})
    before = files_of(copied.path)
    with pytest.raises(RunError) as error:
        RunWriter(copied.path, changed)
    what = f"holds a run begun before {told} changed; choose another --out, or remove it"
    assert str(error.value) == f"{copied.path} {what}"
    assert files_of(copied.path) == before


def test_a_run_that_does_not_say_by_content_what_it_measured_is_not_gone_on_with(copied: Run) -> None:
    file = copied.path / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    del manifest["content"]
    file.write_text(json.dumps(manifest), encoding="utf-8")
    assert read_manifest(copied.path).content is None
    with pytest.raises(RunError, match="holds a run that doesn't say by content what it measured; choose another"):
        RunWriter(copied.path, copied.manifest)


def test_the_commit_alone_is_no_other_run(copied: Run) -> None:
    writer = RunWriter(copied.path, dataclasses.replace(copied.manifest, git_commit="0123456789ab"))
    writer.close()
    assert set(writer.done) == {record.key for record in copied.records}


def test_records_that_are_not_planned_are_refused(copied: Run) -> None:
    before = files_of(copied.path)
    fewer = {record.key for record in copied.records[1:]}
    with pytest.raises(RunError) as error:
        RunWriter(copied.path, copied.manifest, fewer)
    key = copied.records[0].key
    assert str(error.value) == (
        f"{copied.path} holds {key}, which is not planned here now; choose another --out, or remove it"
    )
    assert files_of(copied.path) == before


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in (
        "references/a.py",
        "suites/b.toml",
        "reports/tests/test_c.py",
        "docs/d.md",
        "suites/__pycache__/b.pyc",
    ):
        write(tmp_path / "sources" / name, "one\n")
    return tmp_path / "sources"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("references/a.py", True),
        ("suites/b.toml", True),
        ("suites/new.py", True),
        ("reports/deep/new.py", True),
        ("reports/tests/test_c.py", False),
        ("docs/d.md", False),
        ("suites/__pycache__/b.pyc", False),
    ],
)
def test_the_suite_is_known_by_its_sources_and_its_tables(sources: Path, name: str, counts: bool) -> None:
    before = suite_content(sources)
    write(sources / name, "two\n")
    assert (suite_content(sources) != before) is counts


def test_a_run_says_what_it_rests_on(finished: Run) -> None:
    content = finished.manifest.content
    assert content is not None
    assert {"numpy", "suite", "judge mpmath", "judge numpy"} <= content.keys()
    assert all(len(sha256) == 64 for sha256 in content.values())
    assert content["suite"] == suite_content(Path(run_content.__file__).parents[2])


# -- git -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    write(folder / "inner" / "file.py", "one = 1\n")
    who = ("-c", "user.name=someone", "-c", "user.email=someone@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "first")):
        if subprocess.run(["git", *words], cwd=folder, check=False, env=_without_git()).returncode:
            pytest.skip("git can't make a repository here")
    return folder


def _without_git() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def test_a_commit_is_reported_only_of_a_checkout_of_its_own(repository: Path, tmp_path: Path) -> None:
    commit = commit_of(repository)
    assert commit is not None
    assert len(commit) == 12
    assert commit_of(repository / "inner") is None
    assert commit_of(tmp_path) is None
    assert commit_of(tmp_path / "nowhere") is None
    write(repository / "inner" / "file.py", "one = 2\n")
    assert commit_of(repository) == f"{commit}-dirty"


def test_git_takes_no_lock_and_writes_nothing(repository: Path) -> None:
    index = repository / ".git" / "index"
    os.utime(repository / "inner" / "file.py", (1, 1))  # git would note the new time in its index
    before = index.read_bytes()
    assert commit_of(repository) is not None
    assert index.read_bytes() == before
    (repository / ".git" / "index.lock").touch()
    assert commit_of(repository) is not None


def test_the_variables_of_a_hook_do_not_lead_git_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert commit_of(tmp_path) is None


# -- compare ---------------------------------------------------------------------------------------------------------

CONTENT = {"torch": "1" * 64, "suite": "2" * 64, "own kernels.py": "3" * 64, "judge mpmath": "4" * 64}


def noted(tmp_path: Path, old: dict[str, Any], new: dict[str, Any]) -> tuple[list[tuple[str, str, str, bool]], str]:
    before, after = (write_run(tmp_path / name, [line(cell())], **m) for name, m in (("old", old), ("new", new)))
    comparison = compare_runs(before, after)
    told = [(d.what, d.old, d.new, d.subject) for d in comparison.differences]
    return told, " ".join(comparison.notes)


@pytest.mark.parametrize(
    ("name", "what", "subject"),
    [
        ("torch", "the files of torch 2.9.0", True),
        ("own kernels.py", "kernels.py", True),
        ("judge mpmath", "the files of mpmath, which judges", False),
        ("site", "what Python runs as it starts (.pth files, sitecustomize)", False),
    ],
)
def test_other_files_of_the_same_version_are_a_difference(tmp_path: Path, name: str, what: str, subject: bool) -> None:
    told, notes = noted(tmp_path, {"content": CONTENT}, {"content": {**CONTENT, name: "5" * 64}})
    assert told == [(what, CONTENT[name][:12] if name in CONTENT else "none", "5" * 12, subject)]
    assert "identical" not in notes


def test_equal_contents_let_every_cell_be_expected_identical(tmp_path: Path) -> None:
    told, notes = noted(tmp_path, {"content": CONTENT}, {"content": CONTENT, "git_commit": "other"})
    assert (told, notes) == (
        [],
        "Packages, machine, settings and flags are the same: every cell should be identical.",
    )


def test_other_sources_of_the_suite_are_reported_under_the_same_commit(tmp_path: Path) -> None:
    told, _ = noted(tmp_path, {"content": CONTENT}, {"content": {**CONTENT, "suite": "5" * 64}})
    assert told == [("this suite", "abc, sources 222222222222", "abc, sources 555555555555", False)]


def test_a_version_that_changed_stands_for_its_files(tmp_path: Path) -> None:
    packages = {"torch": "2.10.0", "numpy": "2.4.0", "mpmath": "1.3.0"}
    new = {"content": {**CONTENT, "torch": "5" * 64}, "packages": packages}
    told, _ = noted(tmp_path, {"content": CONTENT}, new)
    assert told == [("torch", "2.9.0", "2.10.0", True)]


@pytest.mark.parametrize("silent", ["old", "new"])
def test_a_run_that_does_not_record_its_content_is_named(tmp_path: Path, silent: str) -> None:
    old, new = ({} if silent == name else {"content": CONTENT} for name in ("old", "new"))
    told, notes = noted(tmp_path, old, new)
    assert told == []
    assert f"is not recorded by content in {silent.upper()} ({tmp_path / silent}), so an edited file" in notes
    assert "identical" not in notes


def test_two_kernels_of_one_name_are_distinguished(command: Command, tmp_path: Path) -> None:
    for name, text in (("one", GOOD), ("two", ZEROS)):
        write(tmp_path / name / "kernels.py", text)
        own = f"{name}/kernels.py:softmax"
        assert command("measure", *TINY, "--implementation", own, "--out", f"run-{name}").code == OK
    ran = command("compare", "run-one", "run-two")
    assert "every cell should be identical" not in ran.out
    assert "kernels.py" in ran.out


# -- a driver that was killed ----------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_with_what_it_has_and_ends_as_any_other(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "kernels.py", GOOD)
    killed = (
        "import os, signal, sys\n"
        "from reports.run.writer import RunWriter\n"
        "add = RunWriter.add\n"
        "def adding(self, *arguments):\n"
        "    if self.done: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    add(self, *arguments)\n"
        "RunWriter.add = adding\n"
        "sys.argv = ['softmax-accuracy', *sys.argv[1:]]\n"
        "from reports.entry import main\n"
        "main()\n"
    )
    root = str(Path(run_content.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    ran = subprocess.run([sys.executable, "-c", killed, *OWN], env=environment, cwd=tmp_path, check=False)
    assert ran.returncode == -9
    assert len((tmp_path / "run" / "cells.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    again = command(*OWN)
    assert (again.code, again.err) == (OK, "")
    resumed = (tmp_path / "run" / "cells.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "run")
    assert command(*OWN).code == OK
    assert (tmp_path / "run" / "cells.jsonl").read_bytes() == resumed
