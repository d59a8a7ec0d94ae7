"""Every lesson and every test of the library, under the sanitizers."""
import os
import re
import subprocess

from attack import ROOT, WITH_MPI, Row, Run, lessons, side_by_side
from builds import make, program, testers

VARIANTS = {"asan": "address, undefined behaviour, leak", "tsan": "thread"}
# Those that helgrind understands: no processes, and no atomics between
# threads, which it takes for races (the time line's, the spin count's).
HELGRIND = "10", "11", "15"
# The thread sanitizer takes its time to know 5,000 coroutines: with five
# others beside it, lesson 26 needs about 30 s.
PATIENCE = 60


def one_lesson(row, variant, lesson):
    run = Run(lesson, program=program(variant, lesson), unit="0.02",
              ASAN_OPTIONS="detect_leaks=0" if lesson in WITH_MPI else None,
              TSAN_OPTIONS="die_after_fork=0", LESSON_PATIENCE=str(PATIENCE)).finish(4 * PATIENCE)
    row.judge(run, run.status == 0 and "Sanitizer" not in run.stderr, f"under {variant}")


def one_tester(row, variant, path):
    end = subprocess.run([path], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                         env={**os.environ, "TSAN_OPTIONS": "die_after_fork=0", "LESSON_UNIT": "0.01"})
    for line in re.findall(r"^(?:not )?ok .*$", end.stdout, re.M):
        row.count(line.startswith("ok"), f"{variant}: {line}\n{end.stdout[-2000:]}")


def helgrind(row, lesson):
    run = Run(lesson, wrapper=["valgrind", "--tool=helgrind", "--error-exitcode=77", "-q"],
              unit="0.05").finish()
    row.judge(run, run.status in (0, 1), "under helgrind")


# A warning is an error: what has one is not built, and told again.
def warnings(row, variant, *settings):
    worked, said = make(variant, *settings, "WERROR=1")
    row.count(worked, said[-4000:])


def attack():
    rows, jobs = [], []
    for variant, names in VARIANTS.items():
        worked, said = make(variant)
        row = Row(f"lessons under the sanitizers for {names}")
        tests = Row(f"tests of the library under those for {names}")
        rows += [row, tests]
        if not worked:
            row.count(False, said[-4000:])
            continue
        jobs += [(one_lesson, row, variant, lesson) for lesson in lessons()]
        jobs += [(one_tester, tests, variant, path) for path in testers(variant)]
    rows.append(Row("lessons of threads under helgrind"))
    jobs += [(helgrind, rows[-1], lesson) for lesson in lessons() if lesson in HELGRIND]
    side_by_side(jobs, 6)
    rows.append(Row("gcc -fanalyzer, all sources"))
    warnings(rows[-1], "analyzer", "CC=gcc", "CFLAGS=-O2 -fanalyzer")
    rows.append(Row("clang -Wthread-safety, all sources"))
    warnings(rows[-1], "clang-O2", "CC=clang", "CFLAGS=-O2")
    return rows
