"""Claims that can go red: tests/mutate, all lessons."""
import os
import subprocess

from attack import CPUS, ROOT, SHARE, Row, lessons, side_by_side

# Three of each lesson when it is a part, all otherwise.
SOME = {"AT_MOST": "3"} if SHARE < 1 else {}

# What two CPUs give to two is seen only when both are free.
ALONE = "20", "21"


def one_lesson(row, lesson):
    end = subprocess.run([ROOT / "tests/mutate", lesson], capture_output=True, text=True,
                         env={**os.environ, **SOME})
    verdicts = [line for line in end.stdout.splitlines() if line.startswith(("seen", "MISSED"))]
    for line in verdicts:
        row.count(line.startswith("seen"), line)
    if len(verdicts) < 3:
        row.count(False, f"lesson {lesson}: fewer than three mutations\n{end.stderr}")


def attack():
    row = Row("a line of a lesson is broken: a claim goes red")
    for some, at_once in (set(lessons()) - set(ALONE), CPUS), (ALONE, 1):
        side_by_side(((one_lesson, row, lesson) for lesson in sorted(some)), at_once)
    return [row]
