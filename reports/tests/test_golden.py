"""The golden verb: what is written, read back by NumPy, by a C compiler and as the documentation shows; mistakes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from references.formats import BINARY32, FORMATS, Floats
from references.functions import needs_cotangent, needs_tangent
from references.oracle.golden import golden
from references.vocabulary import OPERATIONS, QUANTITIES
from reports.console.exits import INCOMPLETE, OK, USAGE
from reports.entry import main
from reports.inspect.golden_header import c_name

ROOT = Path(__file__).parents[2]
ROWS = np.array([[0.0, 1.0, 2.5, -np.inf], [-0.0, -100.0, -150.0, 5.0], [np.nan, 1.0, 1.0, 1.0], [3.0] * 4])
G = np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, -4.0], [0.0] * 4, [1.0, 2.0, 4.0, 8.0]])
T = np.roll(G, 1, axis=0) * 0.5

Command = Callable[[str], tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs ``golden`` with these arguments in a directory with rows, and gives its exit code and its stderr."""
    monkeypatch.chdir(tmp_path)
    for name, array in {"rows": ROWS, "g": G, "t": T}.items():
        np.save(f"{name}.npy", array)

    def run(arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["softmax-accuracy", "golden", *arguments.split()])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        told = capsys.readouterr()
        assert told.out == ""
        assert isinstance(left.value.code, int)
        return left.value.code, told.err

    return run


PLAIN = "rows.npy --operation softmax --quantity forward --format binary32 --out golden.npz"


def question(operation: str = "softmax", quantity: str = "forward", format: str = "binary32") -> str:
    vectors = " --cotangent g.npy" * needs_cotangent(quantity) + " --tangent t.npy" * needs_tangent(quantity)
    return f"rows.npy --operation {operation} --quantity {quantity} --format {format} --out golden.npz{vectors}"


def loaded(path: str = "golden.npz") -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


# -- the archive -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_archive_holds_the_question_and_the_oracles_answer(command: Command, operation: str, quantity: str) -> None:
    code, told = command(question(operation, quantity))
    assert code == OK
    assert told.startswith(f"wrote golden.npz: {operation} {quantity} of 4 x 4 binary32 numbers, proved at up to ")
    found = loaded()
    vectors: dict[str, Floats] = {"cotangent": G} if needs_cotangent(quantity) else {}
    vectors |= {"tangent": T} if needs_tangent(quantity) else {}
    words = {"operation": operation, "quantity": quantity, "format": "binary32", "schema": 1}
    assert {name: found[name].item() for name in words} == words
    for role, values in {"logits": ROWS, **vectors}.items():
        assert np.array_equal(found[role], values.astype(np.float32).view(np.uint32))
    expected = golden(
        operation, quantity, ROWS, BINARY32, cotangent=vectors.get("cotangent"), tangent=vectors.get("tangent")
    )
    for name in ("bits", "hi", "lo", "exponent", "precision"):
        assert found[name].dtype == getattr(expected, name).dtype
        assert np.array_equal(found[name], getattr(expected, name), equal_nan=name == "hi")
    assert set(found) == {*words, "logits", *vectors, "bits", "hi", "lo", "exponent", "precision"}


@pytest.mark.parametrize("format", FORMATS)
def test_bits_have_the_width_of_the_format(command: Command, format: str) -> None:
    np.save("rows.npy", G)
    assert command(question(format=format))[0] == OK
    assert loaded()["bits"].dtype == loaded()["logits"].dtype == FORMATS[format].bits_dtype


def test_the_same_input_gives_the_same_bytes(command: Command, tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        assert command(f"{PLAIN} --c-header golden.h")[0] == OK
        written.append([(tmp_path / name).read_bytes() for name in ("golden.npz", "golden.h")])
    assert written[0] == written[1]


def test_an_array_in_another_byte_order_or_by_columns_is_the_same_array(command: Command, tmp_path: Path) -> None:
    assert command(PLAIN)[0] == OK
    plain = (tmp_path / "golden.npz").read_bytes()
    np.save("rows.npy", np.asfortranarray(ROWS.astype(">f8")))
    assert command(PLAIN)[0] == OK
    assert (tmp_path / "golden.npz").read_bytes() == plain


def test_one_file_may_be_logits_and_cotangent(command: Command) -> None:
    np.save("rows.npy", G)
    assert (
        command("rows.npy --operation softmax --quantity vjp --format binary16 --cotangent rows.npy --out o")[0] == OK
    )
    assert np.array_equal(loaded("o")["logits"], loaded("o")["cotangent"])


# -- mistakes --------------------------------------------------------------------------------------------------------


def save_inputs_with_faults() -> None:
    np.save("tenth.npy", np.array([[0.0, 1.0], [1.0, 0.1]]))
    np.save("large.npy", np.array([[0.0, 7e4]]))
    np.save("flat.npy", np.zeros(3))
    np.save("empty.npy", np.zeros((3, 0)))
    np.save("single.npy", np.zeros((2, 2), np.float32))
    np.save("objects.npy", np.array([[1, None]], object))
    np.save("short.npy", np.zeros((1, 4)))
    np.savez("zipped.npz", rows=ROWS)
    Path("text.npy").write_text("1 2 3", encoding="utf-8")
    Path("nothing.npy").write_bytes(b"")
    Path("cut.npy").write_bytes(Path("rows.npy").read_bytes()[:-8])
    Path("folder").mkdir()
    os.mkfifo("pipe")
    odd = "{'descr': '<f8', 'shape': (True, 2), 'fortran_order': False}"
    for name, head in (("deep.npy", f"{{'descr': {'[' * 5000}"), ("odd.npy", odd)):
        Path(name).write_bytes(b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head.encode())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("rows.npy absent.npy", "absent.npy can't be read: No such file or directory; name a .npy file"),
        ("rows.npy folder", "folder can't be read: it is no regular file; "),
        ("rows.npy pipe", "pipe can't be read: it is no regular file; "),
        ("rows.npy deep.npy", "deep.npy is no .npy file of numbers ("),
        ("rows.npy odd.npy", "odd.npy is no .npy file of numbers ("),
        ("rows.npy text.npy", "text.npy is no .npy file of numbers ("),
        ("rows.npy nothing.npy", "nothing.npy is no .npy file of numbers ("),
        ("rows.npy cut.npy", "cut.npy is no .npy file of numbers ("),
        ("rows.npy zipped.npz", "zipped.npz is no .npy file of numbers ("),
        ("rows.npy objects.npy", "objects.npy is no .npy file of numbers (Object arrays cannot be loaded "),
        ("rows.npy flat.npy", "flat.npy has the shape (3,); make it two-dimensional, [rows, n]: .reshape(-1, n)"),
        ("rows.npy empty.npy", "empty.npy has the shape (3, 0); there has to be a row, and a number in it"),
        ("rows.npy single.npy", "single.npy has the dtype float32; convert the array with .astype(numpy.float64)"),
        (
            "rows.npy tenth.npy",
            "tenth.npy: 0.1 in row 1, column 1 (from 0) is not a binary32 number; round the numbers first "
            "(the nearest is 0.10000000149011612)",
        ),
        (
            "rows.npy large.npy --format binary16",
            "large.npy: 70000.0 in row 0, column 1 (from 0) is not a binary16 number; its numbers end at 65504.0",
        ),
        (
            "rows.npy rows.npy --format float8_e4m3fn",
            "rows.npy: -inf in row 0, column 3 (from 0) is not a float8_e4m3fn number; its numbers end at 448.0",
        ),
        ("--operation softmax --operation softmin", "unknown operation 'softmin'; known are softmax, log_softmax"),
        ("--quantity forward --quantity grad", "unknown quantity 'grad'; known are forward, vjp, jvp, hvp"),
        ("--format binary32 --format binary33", "unknown format 'binary33'; known are binary64, binary32, "),
        ("--format binary32 ", "Missing option '--format'."),
        ("--quantity forward --quantity vjp", "vjp needs a cotangent; add --cotangent FILE.npy"),
        ("--quantity forward --quantity hvp --cotangent g.npy", "hvp needs a tangent; add --tangent FILE.npy"),
        (
            "--quantity forward --quantity forward --tangent t.npy",
            "forward takes no tangent; leave out --tangent t.npy",
        ),
        (
            "--quantity forward --quantity vjp --cotangent short.npy",
            "short.npy has the shape (1, 4), rows.npy has (4, 4); a cotangent has a number for each logit",
        ),
        (
            "--quantity forward --quantity jvp --tangent tenth.npy",
            "tenth.npy has the shape (2, 2), rows.npy has (4, 4); a tangent has a number for each logit",
        ),
        ("--out golden.npz --out rows.npy", "rows.npy is named twice; what is written needs a place of its own"),
        ("--out golden.npz --out same --c-header ./same", "same is named twice; "),
        ("--out golden.npz --out absent/o.npz", "absent/o.npz can't be written: No such file or directory; choose "),
        ("--out golden.npz --out folder", "folder can't be written: Is a directory; choose another place"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    command: Command, tmp_path: Path, change: str, complaint: str
) -> None:
    """Each change replaces its first word or option, if it is there, by the rest."""
    save_inputs_with_faults()
    before = {file.name for file in tmp_path.iterdir()}
    words = change.split(" ")
    old = 2 if words[0].startswith("--") else 1
    arguments = PLAIN.replace(" ".join(words[:old]), "").strip() + " " + " ".join(words[old:])
    if old == 1 and "--format" in words:
        arguments = arguments.replace("--format binary32", "")
    code, told = command(arguments)
    assert code == USAGE
    assert told.startswith("softmax-accuracy: ")
    assert complaint in told
    assert told.count("\n") == 1
    assert {file.name for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("raised", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_stops_half_way_leaves_the_old_file(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException | type[BaseException]
) -> None:
    assert command(PLAIN)[0] == OK
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def stops(*_: object) -> None:
        raise raised

    monkeypatch.setattr("reports.inspect.golden._write_archive", stops)
    code, told = command(PLAIN)
    if isinstance(raised, OSError):
        assert code == USAGE
        assert told.endswith("golden.npz can't be written: No space left on device; choose another place\n")
    else:
        assert (code, told.strip()) == (INCOMPLETE, "softmax-accuracy: interrupted")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


# -- the header ------------------------------------------------------------------------------------------------------


def compiler(*names: str) -> str:
    """The first of these programs that is there, or a skip."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no {' or '.join(names)} on this machine")
    return found


def output_of(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


READER = """
#include <inttypes.h>
#include <stdio.h>
#include "{header}"
#include "{header}"

#define SHOW(name) \\
  for (int i = 0; i < {upper}_ROWS; ++i) \\
    for (int j = 0; j < {upper}_COLUMNS; ++j) printf(#name " %" PRId64 "\\n", (int64_t)name[i][j])

int main(void) {{
  {statements}
  printf("%s %s %s\\n", {name}_operation, {name}_quantity, {name}_format);
  return 0;
}}
"""


@pytest.mark.parametrize(
    ("operation", "quantity", "format", "header"),
    [
        ("softmax", "hvp", "binary64", "golden.h"),
        ("log_softmax", "forward", "bfloat16", "my-own_rows.v2.h"),
        ("log_softmax", "jvp", "float8_e5m2", "2rows.h"),
    ],
)
def test_a_c_compiler_reads_the_numbers_of_the_archive(
    command: Command, operation: str, quantity: str, format: str, header: str
) -> None:
    cc = compiler("cc", "gcc", "clang")
    np.save("rows.npy", np.array([[0.0, 1.0, 2.5, -np.inf], [-0.0, -96.0, -160.0, 5.0], [0.0] * 4, [0.5] * 4]))
    if format == "binary64":
        np.save("rows.npy", np.array([[0.0, -1e308, 1.0, 2.0], [np.nan, 0, 1, 2], [0.1] * 4, [0.1, 0.2, 0.3, 0.4]]))
    assert command(f"{question(operation, quantity, format)} --c-header {header}")[0] == OK
    found, name = loaded(), c_name(Path(header))
    arrays = [n for n in found if found[n].ndim == 2]
    statements = "\n  ".join(f"SHOW({name}_{array});" for array in arrays)
    source = READER.format(header=header, upper=name.upper(), name=name, statements=statements)
    Path("read.c").write_text(source, encoding="utf-8")
    output_of(cc, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "read.c", "-o", "read")
    *lines, words = output_of("./read").splitlines()
    assert words == f"{operation} {quantity} {format}"
    expected = []
    for array in arrays:
        integers = found[array].view(np.uint64) if found[array].dtype == np.float64 else found[array]
        expected += [f"{name}_{array} {v}" for v in integers.astype(np.int64).ravel().tolist()]
    assert lines == expected


def test_names_in_the_header_are_identifiers() -> None:
    names = {"golden.h": "golden", "a-b c.v2.h": "a_b_c_v2", "2rows.h": "golden_2rows", "_x.h": "x", "é.h": "golden"}
    assert {file: c_name(Path("folder") / file) for file in names} == names


# -- the documentation -----------------------------------------------------------------------------------------------


def example(language: str) -> str:
    """The one code block of a language in docs/golden.md."""
    text = (ROOT / "docs" / "golden.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return str(block)


@pytest.fixture
def documented(command: Command) -> None:
    """The files that the command of the documentation makes, from rows without special values."""
    np.save("rows.npy", np.vstack([ROWS[:2], ROWS[3:]]))
    text = (ROOT / "docs" / "golden.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ +softmax-accuracy golden (.*)$", text, re.MULTILINE)
    assert command(line)[0] == OK


@pytest.mark.usefixtures("documented")
def test_the_python_example_runs() -> None:
    Path("example.py").write_text(example("python"), encoding="utf-8")
    told = output_of(sys.executable, "example.py")
    largest, share = re.fullmatch(r"largest error: (.*) ulp\ncorrectly rounded: (.*)\n", told).groups()  # type: ignore[union-attr]
    assert 0 < float(largest) < 2
    assert 0.5 < float(share) <= 1


@pytest.mark.usefixtures("documented")
def test_the_cpp_example_compiles_without_a_warning_and_runs() -> None:
    cxx = compiler("c++", "g++", "clang++")
    Path("example.cpp").write_text(example("cpp"), encoding="utf-8")
    output_of(cxx, "-std=c++11", "-Wall", "-Wextra", "-Werror", "example.cpp", "-o", "example")
    told = output_of("./example")
    found = re.fullmatch(r"softmax forward binary32\nlargest error: (.*) ulp\ncorrectly rounded: (\d+) of 12\n", told)
    assert found
    assert 0 < float(found[1]) < 2
    assert int(found[2]) > 6


@pytest.mark.usefixtures("documented")
def test_the_cuda_example_compiles_and_runs_where_there_is_a_device() -> None:
    nvcc = compiler("nvcc")
    Path("example.cu").write_text(example("cuda"), encoding="utf-8")
    output_of(nvcc, "example.cu", "-o", "example")
    ran = subprocess.run("./example", capture_output=True, text=True, check=False)
    if ran.returncode == 2:
        return  # it compiles; no device to run it on
    assert re.fullmatch(r"correctly rounded: \d+ of 12, others at most [0-2] numbers away\n", ran.stdout)
