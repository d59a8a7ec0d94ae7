"""A lesson under attack: how it is started, watched, and looked after.

Each run has a folder of its own to work in, which must be empty in the
end, and a mark in its environment, which all of its processes inherit:
so many runs can go on side by side, and what one leaves can be told
from what the others do.
"""
import concurrent.futures
import contextlib
import errno
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CPUS = len(os.sched_getaffinity(0))
# How much of all that is done many times: CI takes a part of it.
SHARE = float(os.environ.get("SHARE") or 1)
LIMIT = 60  # seconds; a run that takes longer hangs, or is silent for half of it
MPI_LIMIT = 120  # thirty copies start ninety mpiruns, which take 30 s
# Most of what runs there is MPI: what that does when its own calls
# fail, and what it never frees, is not ours to mend.
WITH_MPI = "27",
numbers = itertools.count()
scratch = Path(tempfile.mkdtemp(prefix="faults-"))
scratch.chmod(0o755)
shim = scratch / "shim.so"


def lessons():
    """Found by their folders, so that a new one is covered at once."""
    found = sorted(path.name[:2] for path in ROOT.glob("lessons/[0-9][0-9]-*"))
    return [number for number in found if (ROOT / f"lesson-{number}").exists()]


def share_of(times):
    return max(2, round(times * SHARE))


def build_shim():
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2", "-shared",
                    "-fPIC", "-o", shim, ROOT / "tests/faults/shim.c", "-ldl"], check=True)


class Run:
    """One run of a lesson, which is started by this."""

    def __init__(self, lesson, *options, wrapper=(), unit="0.005", stdout=None, program=None, **env):
        self.lesson = lesson
        self.place = scratch / f"{next(numbers)}"
        self.work = self.place / "work"
        self.work.mkdir(parents=True)
        self.work.chmod(0o777)
        self.mark = f"{self.place}."
        self.begun = time.monotonic()
        self.limit = MPI_LIMIT if lesson in WITH_MPI else LIMIT
        environment = {**os.environ, "LESSON_UNIT": unit, "LESSON_PATIENCE": str(self.limit // 2),
                       "LC_ALL": "C.UTF-8", "FAULT_MARK": self.mark, "TMPDIR": str(self.work), **env}
        environment = {name: value for name, value in environment.items() if value is not None}
        with open(self.place / "stdout", "wb") as out, open(self.place / "stderr", "wb") as err:
            self.process = subprocess.Popen(
                [*wrapper, program or ROOT / f"lesson-{lesson}", *options], cwd=self.work, env=environment,
                stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=err, start_new_session=True)

    def finish(self, limit=None):
        """Waits for its end; .status is as subprocess says, or "hung"."""
        try:
            self.status = self.process.wait(limit or self.limit)
        except subprocess.TimeoutExpired:
            self.status = "hung"
            for pid in self.processes():
                kill(pid, signal.SIGKILL)
            self.process.wait()
        self.took = time.monotonic() - self.begun
        self.stdout = (self.place / "stdout").read_text(errors="replace")
        self.stderr = (self.place / "stderr").read_text(errors="replace")
        self.left = self.leftovers()
        shutil.rmtree(self.place)
        return self

    def processes(self):
        """All that carry the mark: the lesson and its descendants."""
        found = []
        mark = f"FAULT_MARK={self.mark}\0".encode()
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{entry.name}/environ", "rb") as file:
                    if mark in file.read():
                        found.append(int(entry.name))
        return found

    def leftovers(self):
        """What is still there a second after the end."""
        end = time.monotonic() + 1
        while (pids := self.processes()) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in pids:
            kill(pid, signal.SIGKILL)
        return [f"process {pid}" for pid in pids] + [f"file {name}" for name in os.listdir(self.work)]

    def claims(self):
        """(how many held, how many failed)"""
        return (len(re.findall(r"^    ok      ", self.stdout, re.M)),
                len(re.findall(r"^    FAILED  ", self.stdout, re.M)))

    def red_claims(self):
        return "".join(re.findall(r"^    FAILED  .*\n(?:            \S.*\n)*", self.stdout, re.M))

    def names_an_error(self, name="E[A-Z0-9]{2,}"):
        """A line names the call and the error, or the one of this name."""
        return re.search(rf"^lesson-\d\d: [^:]+: {name}\b", self.stderr, re.M) is not None


def kill(pid, number):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


class Row:
    """A row of the table: what was tried, how often, what was lost."""

    def __init__(self, what):
        self.what = what
        self.tried = 0
        self.lost = []

    def count(self, fine, story):
        self.tried += 1
        if not fine:
            self.lost.append(story)

    def judge(self, run, fine, how=""):
        """Nothing may hang, crash or be left, whatever else is asked."""
        crashed = isinstance(run.status, int) and -run.status in (
            signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGPIPE)
        self.count(fine and run.status != "hung" and not crashed and not run.left,
                   f"lesson {run.lesson} {how}: status {run.status}, left {run.left}\n"
                   f"{run.red_claims()}{run.stdout[-400:]}{run.stderr[-600:]}")


def side_by_side(jobs, at_once=8 * CPUS):
    """Calls all of them, so many at a time: most only wait."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for future in [pool.submit(*job) for job in jobs]:
            future.result()


@contextlib.contextmanager
def busy(count):
    """So many loops that take a CPU each."""
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def shared_memory():
    return set(os.listdir("/dev/shm"))


def listening():
    """The ports that somebody listens on."""
    ports = set()
    for table in "/proc/net/tcp", "/proc/net/tcp6":
        with contextlib.suppress(OSError), open(table) as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    ports.add(fields[1])
    return ports
