"""A process ends with the one that started it, however that ends, and so do those that it has started itself."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from builders.places import ROOT

from proxies.latency import lifetime
from proxies.latency.lifetime import PARENT, ending_with_this

SOON_SECONDS = 120
"""No machine is too busy to end a process within it; one that knows nothing of its parent sleeps five times as long."""
CHILD = """
import subprocess, sys, time
from proxies.latency import lifetime
{before}
lifetime.end_with_parent()
depth = int(sys.argv[1])
code = open(sys.argv[2]).read()
if depth:
    import os
    environment = {{**os.environ, **lifetime.ending_with_this()}}
    subprocess.Popen([sys.executable, "-c", code, str(depth - 1), sys.argv[2]], env=environment)
else:
    print("here", flush=True)
time.sleep(600)
"""


ELSEWHERE = "lifetime.end_at_once_with_parent = lambda: False"
BY_A_THREAD = """
import threading
found = threading.main_thread
threading.main_thread = lambda: None
"""


@pytest.mark.parametrize("before", ["", ELSEWHERE, BY_A_THREAD], ids=["Linux", "elsewhere", "by a thread"])
def test_children_and_grandchildren_end_soon_after_a_parent_that_is_killed(tmp_path: Path, before: str) -> None:
    script = tmp_path / "child.py"
    script.write_text(CHILD.format(before=before))
    line = [sys.executable, "-c", script.read_text(), "2", str(script)]
    parent = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "here\n"
        parent.kill()
        # All of them have its stdout: it ends when the last of them does.
        assert parent.communicate(timeout=SOON_SECONDS)[0] == ""
    finally:
        if parent.poll() is None:
            os.killpg(parent.pid, signal.SIGKILL)


def test_where_the_system_does_not_tell_of_a_parents_end_it_is_asked_twice_a_second() -> None:
    assert lifetime.CHECK_SECONDS <= 0.5


def test_one_whose_parent_ended_before_it_began_ends_at_once() -> None:
    code = "from proxies.latency.lifetime import end_with_parent; end_with_parent(); print('alive')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, PARENT: "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")


def test_without_a_parent_that_wants_it_a_process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PARENT, raising=False)
    monkeypatch.setattr(lifetime, "end_at_once_with_parent", lambda: pytest.fail("it would end with pytest"))
    lifetime.end_with_parent()


def test_a_thread_that_may_end_first_is_told_from_the_process() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(ending_with_this()))
    thread.start()
    thread.join()
    assert found == [{PARENT: f"{os.getpid()}{lifetime.THREAD}"}]
    assert ending_with_this() == {PARENT: str(os.getpid())}


def test_a_request_to_end_is_heard_after_a_process_was_started() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    said = []

    def start() -> None:
        with lifetime.requests_held():
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            said.append(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

    try:
        with pytest.raises(KeyboardInterrupt):
            start()
    finally:
        signal.signal(signal.SIGINT, before)
    assert said == [b"True\n"]
