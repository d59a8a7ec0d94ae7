"""semaphore.c with threading and multiprocessing, whose semaphore is the POSIX one."""
import contextlib, multiprocessing.pool, os, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp = multiprocessing.get_context("fork")
inside, most, ids, five_inside = mp.Value("i"), mp.Value("i"), mp.SimpleQueue(), mp.Barrier(5)

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def visit(door):
    with door:
        with inside: inside.value += 1; most.value = max(most.value, inside.value)
        ids.put(threading.get_native_id()); five_inside.wait(); time.sleep(3 * UNIT)
        with inside: inside.value -= 1

def crowd(kind, door):
    visitors = [kind(target=visit, args=(door,)) for _ in range(20)]
    for step in kind.start, kind.join: [step(visitor) for visitor in visitors]

for run, count, sentence in (
        (lambda: crowd(threading.Thread, threading.Semaphore(5)), 20, "threads created: 20"),
        (lambda: multiprocessing.pool.ThreadPool(5).map(visit, [contextlib.nullcontext()] * 20, 1), 5,
         "threads that did it: 5, and a pool creates no more"),
        (lambda: crowd(mp.Process, mp.Semaphore(5)), 20, "processes created: 20")):
    most.value = 0; begin = time.monotonic(); run()
    claim(most.value == 5, "inside at once: 5, and never more")
    claim(time.monotonic() - begin >= 12 * UNIT, "4 waves of 3 u took at least 12 u")
    claim(len({ids.get() for _ in range(20)}) == count, sentence)
