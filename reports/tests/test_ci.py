"""The workflows of docs/ci.md: linted, their options known, and their commands run in order on a small selection."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from reports.cli import cli
from reports.console import exits
from reports.run.records import Run
from suites.plan.cell import Selection

ROOT = Path(__file__).parents[2]
_BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(encoding="utf-8"), re.DOTALL)
GITHUB, GITLAB = (yaml.safe_load(block) for block in _BLOCKS)

SELECTION = "--framework numpy --tier smoke --format binary64 --operation softmax"


def steps(job: str) -> list[str]:
    return [step["run"] for step in GITHUB["jobs"][job]["steps"] if "run" in step]


def gitlab_script() -> list[str]:
    job = GITLAB["softmax-accuracy"]
    return [*job["before_script"], *job["script"]]


def commands() -> list[list[str]]:
    """Every command of the workflows, in words; what decides and redirects is left out."""
    found = []
    for text in [*(text for job in GITHUB["jobs"] for text in steps(job)), *gitlab_script()]:
        for line in text.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|;", line):
                words = shlex.split(re.sub(r">>.*", "", part))
                while words and words[0] in ("if", "then", "fi", "else"):
                    words = words[1:]
                if words:
                    found.append(words)
    return found


def ours(name: str) -> list[list[str]]:
    return [words[1:] for words in commands() if words[0] == name]


# -- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", _BLOCKS, ids=["GitHub", "GitLab"])
def test_the_yaml_has_nothing_that_a_linter_complains_of(block: str) -> None:
    rules = "{document-start: disable, truthy: {check-keys: false}, line-length: {max: 120}}"
    config = YamlLintConfig(f"{{extends: default, rules: {rules}}}")
    assert [str(problem) for problem in linter.run(block, config)] == []


def test_every_command_of_ours_is_one_that_the_command_line_has() -> None:
    verbs = {words[0] for words in ours("softmax-accuracy")}
    assert {"measure", "compare", "audit"} <= verbs
    assert verbs <= set(cli.commands)


def test_every_option_of_a_verb_is_known() -> None:
    checked = 0
    for verb, *arguments in ours("softmax-accuracy"):
        command = cli.commands.get(verb)
        if command is not None:
            words = [word for argument in arguments for word in ("" if argument == "$SELECTION" else argument).split()]
            context = command.make_context(verb, words, resilient_parsing=False)
            assert isinstance(context, click.Context)
            checked += 1
    assert checked == 5


def test_every_option_of_pytest_is_known() -> None:
    written = (ROOT / "reports" / "session" / "options.py").read_text(encoding="utf-8")
    options = [word for words in ours("pytest") for word in words if word.startswith("--")]
    assert options == ["--baseline", "--record"]
    assert all(f'"{option[2:]}": (' in written for option in options)


def test_the_audit_is_asked_for_by_its_contract() -> None:
    (arguments,) = [words[1:] for words in ours("softmax-accuracy") if words[0] == "audit"]
    assert arguments == ["$OLD", "$NEW", "--out", "audit", "--markdown", "audit.md"]


def test_what_is_installed_are_extras_of_this_project() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installs = [words for words in commands() if words[:4] == ["python", "-m", "pip", "install"]]
    assert len(installs) == 4
    for words in installs:
        wanted = re.fullmatch(r"\.\[(.+)\]", words[-1])
        assert wanted is not None
        assert set(wanted[1].split(",")) <= set(extras)


def test_every_artifact_is_something_that_the_commands_write() -> None:
    text = " ".join(word for words in commands() for word in words)
    paths = [
        path
        for job in GITHUB["jobs"].values()
        for step in job["steps"]
        if "upload-artifact" in step.get("uses", "")
        for path in step["with"]["path"].split()
    ]
    for path in [*paths, *GITLAB["softmax-accuracy"]["artifacts"]["paths"]]:
        assert path in text


# -- what it does ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(measured: Callable[[str, Selection], Run]) -> Run:
    """What the workflows' selection gave last time."""
    return measured("numpy", Selection("smoke", operations=("softmax",), formats=("binary64",)))


@pytest.fixture
def workplace(tmp_path: Path, stored: Run) -> Path:
    """A folder with what lies in the repository, last time's run, and the two commands on the PATH."""
    shutil.copytree(stored.path, tmp_path / "stored" / "run")
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "allowed.toml").touch()
    scripts = {
        "softmax-accuracy": f'exec "{sys.executable}" -m reports "$@"',
        "pytest": f'exec "{sys.executable}" -m pytest -c "{ROOT / "pyproject.toml"}" --rootdir "{ROOT}" '
        f'"{ROOT / "suites" / "laws" / "test_differential.py"}" -k cell "$@"',
    }
    (tmp_path / "bin").mkdir()
    for name, text in scripts.items():
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        file.chmod(0o755)
    return tmp_path


def executed(workplace: Path, script: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """What a runner does with the commands, those apart that install."""
    kept = [text for text in script if "pip install" not in text]
    variables = {
        **os.environ,
        "PATH": f"{workplace / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SELECTION": SELECTION,
        **environment,
    }
    return subprocess.run(
        ["bash", "-e", "-c", "\n".join(kept)],
        cwd=workplace,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_weekly_job_measures_compares_and_keeps_the_run(workplace: Path) -> None:
    summary = workplace / "summary.md"
    summary.write_text("Before.\n", encoding="utf-8")
    ran = executed(workplace, steps("changes"), GITHUB_STEP_SUMMARY=str(summary))
    assert ran.returncode == 0, ran.stderr
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("Before.\n# Accuracy of softmax and log\\_softmax, compared\n")
    assert ": signed off; 54 cells: 54 identical." in text
    assert (workplace / "compare.html").is_file()
    assert (workplace / "stored/run/cells.jsonl").read_bytes() == (workplace / "new/cells.jsonl").read_bytes()


def mended(text: str) -> str:
    """A record with other bits, and good ones where they were wrong."""
    record = json.loads(text) | {"output_sha256": "0" * 64}
    if record["verdict"] == "wrong":
        good = {
            "verdict": "stable",
            "outcomes": {},
            "bound_ratio": 0.5,
            "infinite_ratios": 0,
            "conditioning_ratio": 3.0,
        }
        narrow = record["format"] in ("binary16", "bfloat16")
        record |= good | {"storage_ratio": 0.5 if narrow else None, "rows_without_bound": 0}
        record |= {"correctly_rounded_share": 0.0, "faithful_share": 0.0}
        record["worst"] |= {"outcome": "ordinary", "ulp_error": record["max_ulp"], "bound_ratio": 0.25}
    return json.dumps(record)


def test_the_gitlab_job_fails_with_what_compare_says_and_keeps_the_old_run(workplace: Path) -> None:
    file = workplace / "stored" / "run" / "cells.jsonl"
    better = "".join(mended(text) + "\n" for text in file.read_text(encoding="utf-8").splitlines())
    file.write_text(better, encoding="utf-8")
    ran = executed(workplace, gitlab_script())
    assert ran.returncode == 1, ran.stderr
    assert "## Broken: " in (workplace / "compare.md").read_text(encoding="utf-8")
    assert file.read_text(encoding="utf-8") == better


def test_the_job_on_every_push_holds_against_the_baseline(workplace: Path) -> None:
    made = executed(workplace, ["softmax-accuracy baseline stored/run --out baselines/jax.jsonl"])
    assert made.returncode == 0, made.stderr
    ran = executed(workplace, steps("ratchet"))
    assert ran.returncode == 0, ran.stdout
    assert "54 cells held against baselines/jax.jsonl: 0 worse" in ran.stdout
    assert (workplace / "run" / "manifest.json").is_file()


def test_no_incomplete_run_passes_a_gate() -> None:
    """3 says that something was not measured; whatever lets it through lets a kernel through that never ran."""
    for block in _BLOCKS:
        assert not re.search(r"allow_failure|continue-on-error|\|\|\s*(true|:|exit 0)|set \+e", block)
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| 3 \|.*\| (.*) \|$", text, re.MULTILINE)
    assert row == "fail"


def test_the_example_that_treats_1_and_3_differently_fails_on_both(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    found = re.search(r"\n((?:    .*\n)*    code=0\n(?:    .*\n)+)", text)
    assert found is not None
    for code, said in ((0, ""), (1, "worse than allowed: see the cells above\n"), (2, ""), (3, "cells are missing: ")):
        (tmp_path / "softmax-accuracy").write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
        (tmp_path / "softmax-accuracy").chmod(0o755)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SELECTION": ""}
        done = subprocess.run(
            ["sh", "-e", "-c", found[1]], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout.startswith(said)) == (code, True)


def test_every_exit_code_is_in_the_table_the_readme_and_the_help() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper()}
    assert codes == {0, 1, 2, 3, 4, 70}
    table = set(map(int, re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE)))
    assert table == codes
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("Exit codes: ")[2][:250]
    for text in (cli.help or "", readme):
        assert all(re.search(rf"\b{code} [a-z]", text) for code in codes), text
