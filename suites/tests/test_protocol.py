"""What a worker sends is checked: programs that are no worker, answers without sense, results of another shape."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suites.driver import worker_process
from suites.driver.pool import evaluate, introduction_of, stop_workers
from suites.driver.profiles import Limits, Profile
from suites.driver.replies import Declared, Evaluated, Nonsense, made, reply_on
from suites.driver.scratch import result_in
from suites.driver.worker_process import WorkerDied, WorkerProcess
from suites.tests.planted import BITS, NUMPY, task_of, written
from suites.worker.link import MARK
from suites.worker.self_report import Introduction, introduce
from suites.worker.timing import TimeRatio


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


def program(folder: Path, text: str, name: str = "python", limits: Limits = NUMPY.limits) -> Profile:
    """A profile whose interpreter is a script."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return replace(NUMPY, interpreter=str(file), limits=limits)


# -- programs that are no worker -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec cat", "no answer from its start within 2 s"),
        ('exec cat "$@"', "the worker exited with 0"),
        ("exec true", "the worker exited with 0"),
        ("exec yes", "the worker sent more than 4 MiB of no answer"),
        ("exec head -c 400000000 /dev/zero", "the worker sent more than 4 MiB of no answer"),
        ("exec sleep 100", "no answer from its start within 2 s"),
        ("exec >&-; exec sleep 100", "the worker closed its pipe"),
        ("exec head -c 400000000 /dev/zero >&2", "the worker exited with 0"),
        ("echo '@softmax-accuracy {\"introduction\": {}}'; exec sleep 100", "no answer from its start within 2 s"),
    ],
)
def test_a_program_that_is_no_python_is_ended_with_a_line(tmp_path: Path, script: str, reason: str) -> None:
    with pytest.raises(WorkerDied) as death:
        introduction_of(program(tmp_path, f"#!/bin/sh\n{script}\n", limits=Limits(start=2.0)))
    assert str(death.value) == reason
    assert len(death.value.loss.log) <= 1 << 16


def test_a_program_that_is_silent_is_not_waited_for_as_long_as_a_framework(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "_FIRST_SIGN", 0.2)
    with pytest.raises(WorkerDied, match=r"no answer from its start within 0\.2 s"):
        introduction_of(program(tmp_path, "#!/bin/sh\nexec sleep 100\n", limits=Limits(start=300.0)))


LIAR = """#!{python}
import json, sys
token = json.loads(sys.stdin.readline())["token"]
def reply(to, **message):
    print("@softmax-accuracy " + token + " " + json.dumps(dict(to=to, **message)), flush=True)
reply(0, here=True)
introduction = json.loads({introduction!r})
{change}
reply(0, introduction=introduction)
for line in sys.stdin:
    request = json.loads(line)
    {answer}
"""


def liar(folder: Path, change: str = "", answer: str = "pass") -> Profile:
    """A worker that says what it likes; it has no array to give."""
    introduction = json.dumps(asdict(introduce("numpy")))
    return program(folder, LIAR.format(python=sys.executable, introduction=introduction, change=change, answer=answer))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("introduction['python'] = 3", "python is 3"),
        ("introduction['packages'] = []", "packages is []"),
        ("introduction['packages'] = {'numpy': None}", "packages is None"),
        ("introduction['settings'] = {'a': {'b': 'c'}}", "settings is {'b': 'c'}"),
        ("introduction['facts'] = {'a': 0.5}", "facts is 0.5"),
        ("introduction['features'] = 'avx2'", "features is 'avx2'"),
        ("introduction['card'] = False", "card is False"),
        ("del introduction['platform']", "no field 'platform'"),
        ("introduction['more'] = 1", "a field 'more' that is not known"),
        ("introduction['framework'] = 'torch'", "it introduces itself as torch"),
        ("introduction = None", "None in place of fields"),
        ("introduction = [1] * 100", None),
    ],
)
def test_an_introduction_is_held_to_its_fields(tmp_path: Path, change: str, reason: str | None) -> None:
    with pytest.raises(WorkerDied) as death:
        introduction_of(liar(tmp_path, change))
    assert str(death.value).startswith("the worker sent nonsense: ")
    assert len(str(death.value)) < 200
    if reason is not None:
        assert str(death.value) == f"the worker sent nonsense: {reason}"


def test_what_an_introduction_says_is_cleaned(tmp_path: Path) -> None:
    found = introduction_of(liar(tmp_path, "introduction['settings'] = {'\\x1b[2J': 'a' + chr(0x202e) + chr(10)}"))
    assert found.settings == {"\\x1b[2J": "a\\u202e "}


DONE = "to=request['id'], call=0, seconds=0.1, resident=1, state=''"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (f"reply({DONE}, touched=0)", "its result can't be read: No such file or directory"),
        (f"reply({DONE})", "neither a result nor a reason"),
        (f"reply({DONE}, touched=True)", "touched is True"),
        (f"reply({DONE}, touched=-1)", "touched is -1"),
        (f"reply({DONE}, raised=['a'])", "raised is ['a']"),
        (f"reply({DONE.replace('0.1', 'float(chr(110) + chr(97) + chr(110))')}, touched=0)", "seconds is nan"),
        (f"reply({DONE.replace('0.1', '10 ** 400')}, touched=0)", "seconds is 1" + "0" * 56 + "..."),
        (f"reply({DONE.replace('call=0', 'call=1')}, touched=0)", "call 1 in place of 0"),
        ("reply(request['id'])", "no field 'call'"),
        ("reply(request['id'], timings=[])", "a field 'timings' that is not known"),
    ],
)
def test_an_answer_without_sense_costs_its_cell(tmp_path: Path, answer: str, reason: str) -> None:
    (found,) = evaluate(task_of(written(tmp_path), "sound", profile=liar(tmp_path, answer=answer)))
    assert found.bits is None
    assert found.loss is not None
    assert found.loss.reason == f"the worker sent nonsense: {reason}"


def test_a_users_function_is_never_unsupported(tmp_path: Path) -> None:
    lying = liar(tmp_path, answer=f"reply({DONE}, raised='no', unsupported=True)")
    (found,) = evaluate(task_of(written(tmp_path), "sound", profile=lying))
    assert found.loss is not None
    assert (found.loss.reason, found.loss.unsupported) == ("no", False)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the arguments of a process can't be read here")
def test_the_token_is_not_there_for_all_to_read() -> None:
    worker = WorkerProcess(NUMPY)
    try:
        worker.greet()
        process = Path(f"/proc/{worker._process.pid}")
        (child,) = (process / "task" / process.name / "children").read_text().split()
        for number in (process.name, child):
            for name in ("cmdline", "environ"):
                assert worker._token.encode() not in Path(f"/proc/{number}/{name}").read_bytes()
    finally:
        worker.kill()


def test_two_workers_have_two_tokens() -> None:
    first, second = WorkerProcess(NUMPY), WorkerProcess(NUMPY)
    first.kill()
    second.kill()
    assert first._token != second._token


# -- lines and fields ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"a banner",
        MARK.encode() + b'{"to": 1}',
        MARK.encode() + b'0123 {"to": 1}',
        MARK.encode() + b'abcd {"to": 2}',
        MARK.encode() + b'abcd [{"to": 1}]',
        MARK.encode() + b"abcd " + b"[" * 100_000,
        MARK.encode() + b"abcd \xff\xfe",
        b' @softmax-accuracy abcd {"to": 1}',
    ],
)
def test_a_line_without_the_token_or_to_another_request_is_no_answer(line: bytes) -> None:
    assert reply_on(line, "abcd", 1) is None


def test_a_line_with_the_token_is_an_answer() -> None:
    assert reply_on(MARK.encode() + b'abcd {"to": 1, "here": true}', "abcd", 1) == {"here": True}


def test_answers_are_made_of_fields_of_their_types() -> None:
    ratio = ["torch", "eager", "forward", [8, 9], 1, 1.0, 1.5, 3.0]
    named = dict(zip(TimeRatio.__annotations__, ratio, strict=True))
    assert made(TimeRatio, named) == TimeRatio("torch", "eager", "forward", (8, 9), 1.0, 1.0, 1.5, 3.0)
    for change in ({"shape": [8]}, {"shape": [8, "9"]}, {"ratio": 1e999}, {"ratio": True}, {"mode": None}):
        with pytest.raises(Nonsense):
            made(TimeRatio, {**named, **change})


@pytest.mark.parametrize("kind", [Evaluated, Declared, TimeRatio, Introduction])
def test_every_field_of_every_answer_has_a_type_that_is_checked(kind: Any) -> None:
    class Other:
        pass

    for name in kind.__annotations__:
        with pytest.raises(Nonsense):
            made(kind, {**dict.fromkeys(kind.__annotations__, Other()), name: Other()})


# -- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (BITS.astype(np.uint64), "no file of the size|not uint32"),
        (BITS.astype(np.float32), r"its result is float32 \(2, 3\), not uint32 \(2, 3\)"),
        (BITS[:1], r"its result is uint32 \(1, 3\), not uint32 \(2, 3\)"),
        (BITS.ravel(), r"its result is uint32 \(6,\)"),
        (np.zeros(10_000, np.uint32), "its result is no file of the size that it should have"),
        (b"", "its result can't be read: "),
        (b"\x93NUMPY", "its result can't be read: "),
        (b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16, "its result can't be read: "),
        (b"\x80\x04N.", "its result can't be read: "),
        (None, "its result is no file of the size that it should have"),
        ("/dev/zero", "its result can't be read: "),
    ],
)
def test_a_result_is_held_to_the_format_and_shape_of_its_input(tmp_path: Path, content: Any, complaint: str) -> None:
    file = tmp_path / "result.npy"
    if isinstance(content, np.ndarray):
        np.save(file, content)
    elif isinstance(content, bytes):
        file.write_bytes(content)
    elif content is None:
        os.mkfifo(file)
    else:
        file.symlink_to(content)
    with pytest.raises(Nonsense, match=complaint):
        result_in(file, BITS)


def test_a_result_is_read_once(tmp_path: Path) -> None:
    np.save(tmp_path / "result.npy", BITS)
    assert np.array_equal(result_in(tmp_path / "result.npy", BITS), BITS)
    assert list(tmp_path.iterdir()) == []
