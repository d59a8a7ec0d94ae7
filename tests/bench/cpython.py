#!/usr/bin/env python3
"""The measurements of ours.c, done with CPython's four pools.

    cpython.py MEASUREMENT KIND CPUS

restricts itself to that many CPUs (0: all it has), measures once and
prints one number in the unit of the row in `rows`.  Processes are
forked, which is the quickest way CPython has to start them.
"""
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import (Executor, ProcessPoolExecutor,
                                ThreadPoolExecutor)
from multiprocessing.pool import ThreadPool

SECONDS = 0.2  # a number takes at least this long
EMPTY_TASKS = 4000
TASKS_10US = 4000
TASKS_1US = 50000

fork = multiprocessing.get_context("fork")
OPEN = {
    "Pool": fork.Pool,
    "ThreadPool": ThreadPool,
    "ProcessPoolExecutor":
        lambda n: ProcessPoolExecutor(n, mp_context=fork),
    "ThreadPoolExecutor": ThreadPoolExecutor,
}


# ------------------------------------------------- one face for both --

def apply(pool, function, arg):
    if isinstance(pool, Executor):
        return pool.submit(function, arg).result()
    return pool.apply(function, (arg,))


def apply_async(pool, function, arg, callback):
    if isinstance(pool, Executor):
        future = pool.submit(function, arg)
        future.add_done_callback(lambda f: callback(f.result()))
    else:
        pool.apply_async(function, (arg,), callback=callback)


def map_all(pool, function, args):
    chunk = max(1, len(args) // (4 * CPUS))
    if isinstance(pool, Executor):
        return list(pool.map(function, args, chunksize=chunk))
    return pool.map(function, args, chunksize=chunk)


def close(pool):
    if isinstance(pool, Executor):
        pool.shutdown(wait=True)
    else:
        pool.terminate()
        pool.join()


# ------------------------------------------------------------- tasks --

LOOPS = 0  # how long compute is; set before the pool is opened


def echo(number):
    return number


def compute(number):
    for _ in range(LOOPS):
        pass
    return number


def seconds_each(once):
    """Calls once() until SECONDS are over: seconds for each call."""
    start = now = time.monotonic()
    calls = 0
    while now - start < SECONDS:
        once()
        calls += 1
        now = time.monotonic()
    return (now - start) / calls


def calibrate(us):
    """Sets LOOPS so that compute() takes so many microseconds."""
    global LOOPS

    def best(loops):
        global LOOPS
        LOOPS = loops
        times = []
        for _ in range(30):
            start = time.perf_counter()
            for number in range(100):
                compute(number)
            times.append(time.perf_counter() - start)
        return min(times) / 100 * 1e6

    call, thousand = best(0), best(1000)
    LOOPS = max(0, round(1000 * (us - call) / (thousand - call)))


def batch(pool, function, tasks):
    """Runs the tasks through apply_async and waits for the last one."""
    lock = threading.Lock()
    all_done = threading.Event()
    done = 0

    def callback(_):
        nonlocal done
        with lock:
            done += 1
            if done == tasks:
                all_done.set()

    for number in range(tasks):
        apply_async(pool, function, number, callback)
    all_done.wait()


# ------------------------------------------------------ measurements --

def measure_apply():
    pool = OPEN[KIND](CPUS)
    for number in range(100):
        apply(pool, echo, number)
    seconds = seconds_each(lambda: apply(pool, echo, 0))
    close(pool)
    return seconds * 1e6


def batch_seconds(function, tasks):
    pool = OPEN[KIND](CPUS)
    batch(pool, function, tasks // 10)
    seconds = seconds_each(lambda: batch(pool, function, tasks)) / tasks
    close(pool)
    return seconds


def measure_async():
    return 1e-6 / batch_seconds(echo, EMPTY_TASKS)


def measure_async_10us():
    calibrate(10)
    return batch_seconds(compute, TASKS_10US) * 1e6


def measure_map_1us():
    calibrate(1)
    pool = OPEN[KIND](CPUS)
    args = list(range(TASKS_1US))
    map_all(pool, compute, args[:1000])
    seconds = seconds_each(lambda: map_all(pool, compute, args))
    close(pool)
    return seconds / TASKS_1US * 1e6


def open_and_close():
    pool = OPEN[KIND](4)
    if isinstance(pool, Executor):
        apply(pool, echo, 0)  # it starts its workers no earlier
    close(pool)


def measure_open():
    return seconds_each(open_and_close) * 1e3


def measure_sleep():
    pool = OPEN[KIND](5)
    done = threading.Semaphore(0)
    start = time.monotonic()
    for _ in range(10):
        apply_async(pool, time.sleep, 1, lambda _: done.release())
    for _ in range(10):
        done.acquire()
    seconds = time.monotonic() - start
    close(pool)
    return abs(seconds - 2) / 2 * 100


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def memory_of(pid):
    """KB that no file holds, as in bench.h."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file
                   if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def program_memory():
    """Of this process and its children."""
    me = os.getpid()
    children = [int(name) for name in os.listdir("/proc")
                if name.isdigit() and parent_of(name) == me]
    return memory_of(me) + sum(map(memory_of, children))


def measure_memory():
    before = program_memory()
    pool = OPEN[KIND](4)
    batch(pool, echo, EMPTY_TASKS)
    time.sleep(0.1)
    after = program_memory()
    close(pool)
    return after - before


MEASUREMENTS = {
    "apply": measure_apply,
    "async": measure_async,
    "async-10us": measure_async_10us,
    "map-1us": measure_map_1us,
    "open": measure_open,
    "sleep": measure_sleep,
    "memory": measure_memory,
}

if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in MEASUREMENTS \
            or sys.argv[2] not in OPEN or not sys.argv[3].isdigit():
        sys.exit(f"usage: cpython.py {'|'.join(MEASUREMENTS)} "
                 f"{'|'.join(OPEN)} CPUS")
    KIND, CPUS = sys.argv[2], int(sys.argv[3])
    if CPUS > 0:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CPUS])
    print("%.9g" % MEASUREMENTS[sys.argv[1]]())
