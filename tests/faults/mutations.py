"""Claims that can go red: tests/mutate, all lessons."""
import os
import subprocess

from attack import CPUS, ROOT, SHARE, Row, lessons, side_by_side

FEWEST = 3  # there must be of each lesson
SOME = 1    # of them is made when it is a part, all otherwise

# What two CPUs give to two is seen only when both are free.
ALONE = "20", "21"


def one_lesson(row, lesson):
    there = len((ROOT / "tests/mutations" / lesson).read_text().strip().split("\n\n"))
    wanted = min(there, SOME) if SHARE < 1 else there
    end = subprocess.run([ROOT / "tests/mutate", lesson], capture_output=True, text=True,
                         env={**os.environ, "AT_MOST": str(wanted)})
    verdicts = [line for line in end.stdout.splitlines() if line.startswith(("seen", "MISSED"))]
    for line in verdicts:
        row.count(line.startswith("seen"), line)
    if there < FEWEST or len(verdicts) != wanted:
        row.count(False, f"lesson {lesson}: {len(verdicts)} of {there} mutations made\n{end.stderr}")


def attack():
    row = Row("a line of a lesson is broken: a claim goes red")
    for some, at_once in (set(lessons()) - set(ALONE), CPUS), (ALONE, 1):
        side_by_side(((one_lesson, row, lesson) for lesson in sorted(some)), at_once)
    return [row]
