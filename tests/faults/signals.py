"""Signals at random moments, to the lesson and to each of its processes."""
import os
import random
import signal
import statistics
import time

from attack import Row, Run, kill, lessons, share_of, shim, side_by_side

TIMES = share_of(50)  # a lesson and signal


def normal_length(lesson):
    runs = [Run(lesson).finish() for _ in range(3)]
    return statistics.median(run.took for run in runs)


def to_the_lesson(row, lesson, number, length):
    run = Run(lesson)
    time.sleep(random.uniform(0, length))
    kill(run.process.pid, number)
    run.finish()
    # In its first moment a lesson does not handle SIGINT yet.
    by_signal = (130, -number) if number == signal.SIGINT and not run.stdout else (
        130 if number == signal.SIGINT else -number,)
    row.judge(run, run.status in (0, *by_signal), f"{number.name} to it")


def to_a_process(row, lesson, length):
    """Claims may go red, but the lesson must come to its end."""
    run = Run(lesson)
    time.sleep(random.uniform(0, length))
    others = [pid for pid in run.processes() if pid != run.process.pid]
    if others:
        kill(random.choice(others), signal.SIGKILL)
    run.finish()
    row.judge(run, run.status in (0, 1, 3), "SIGKILL to one of its processes")


def stop_and_continue(row, lesson, length):
    run = Run(lesson)
    time.sleep(random.uniform(0, length))
    os.killpg(run.process.pid, signal.SIGSTOP)
    time.sleep(0.1)
    os.killpg(run.process.pid, signal.SIGCONT)
    run.finish()
    row.judge(run, run.status == 0, "stopped and continued")


def storm(row, lesson):
    """A signal that is handled: every call survives EINTR."""
    run = Run(lesson, LD_PRELOAD=str(shim), FAULT_STORM="1")
    end = time.monotonic() + 20
    while run.process.poll() is None and time.monotonic() < end:
        for pid in run.processes():
            kill(pid, signal.SIGURG)
        time.sleep(0.001)
    run.finish()
    row.judge(run, run.status == 0, "in a storm of SIGURG")


def attack():
    lengths = {}

    def measure(lesson):
        lengths[lesson] = normal_length(lesson)

    side_by_side(((measure, lesson) for lesson in lessons()), 2)
    rows, jobs = [], []
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL:
        rows.append(Row(f"{number.name} to the lesson at a random moment"))
        jobs += [(to_the_lesson, rows[-1], lesson, number, lengths[lesson])
                 for lesson in lessons() for _ in range(TIMES)]
    rows.append(Row("SIGKILL to one of its processes at a random moment"))
    jobs += [(to_a_process, rows[-1], lesson, lengths[lesson]) for lesson in lessons() for _ in range(TIMES)]
    rows.append(Row("stopped and continued"))
    jobs += [(stop_and_continue, rows[-1], lesson, lengths[lesson]) for lesson in lessons() for _ in range(3)]
    rows.append(Row("a storm of a handled signal"))
    jobs += [(storm, rows[-1], lesson) for lesson in lessons()]
    random.shuffle(jobs)
    side_by_side(jobs)
    return rows
