"""cpu_io.c with CPython's own lock."""
import multiprocessing, os, resource, sys, threading, time

UNIT, TASKS, LENGTH, WAITS = float(os.environ.get("LESSON_UNIT", "0.2")), 4, 2, 20  # 1 u in seconds
GRACE = 0.3  # what a busy machine may stand still for
mp = multiprocessing.get_context("fork")

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def compute():
    begin = time.thread_time()
    while time.thread_time() - begin < LENGTH * UNIT: pass
def wait_for_io():
    for _ in range(WAITS): time.sleep(LENGTH * UNIT / WAITS)
def serial(work):
    for _ in range(TASKS): work()
def parallel(kind, work):
    crew = [kind(target=work) for _ in range(TASKS)]
    for step in "start", "join": [getattr(member, step)() for member in crew]
def measure(run, *args):
    before, used, begin = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw, time.process_time(), time.monotonic(); run(*args)
    return time.monotonic() - begin, time.process_time() - used, resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before

computing, one_lock, waiting = measure(serial, compute), measure(parallel, threading.Thread, compute), measure(serial, wait_for_io)
claim(one_lock[1] <= 1.2 * one_lock[0], "CPU, threads, one lock: they get no more than one CPU")
claim(waiting[0] >= TASKS * LENGTH * UNIT, "I/O, serial: they take at least 8 u")
for kind, name in (threading.Thread, "threads, one lock"), (mp.Process, "processes"): claim(measure(parallel, kind, wait_for_io)[0] <= waiting[0] / 2 + GRACE, f"I/O, {name}: less than half of that")
claim(waiting[2] >= 40, "who waits gives the CPU up, 40 times or more")
claim(computing[2] < 20, "who computes does not: fewer than 20 times")
