"""deadlock.c with threading: a deadlock under a time limit, and the four cures."""
import os, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def visit(first, second, meet, limit):  # limit: how long it waits for the second, or -1
    with first:
        meet(); time.sleep(UNIT)
        if second.acquire(timeout=limit):
            time.sleep(UNIT); second.release(); return through.append(first)
    gave_way.append(first); time.sleep(limit); visit(first, second, int, limit)

def run(orders, meet=int, limits=(-1, -1), patience=None):
    global through, gave_way
    through, gave_way, each = [], [], zip(orders, limits)
    threads = [threading.Thread(target=visit, args=(*o, meet, limit), daemon=True) for o, limit in each]
    for step in threading.Thread.start, lambda t: t.join(patience): [step(t) for t in threads]
    claim(*(not through, "CPython: both wait, and nobody is told") if patience else
          (len(through) == 2, "no deadlock: all 2 threads came through"))

A, B, C, D, R = [threading.Lock() for _ in "ABCD"] + [threading.RLock()]
run([(C, D), (D, C)], threading.Barrier(2).wait, patience=5 * UNIT)
for orders in [(R, R)] * 2, [(A, B)] * 2: run(orders)  # one recursive lock; one order
for limits in (0, UNIT / 2), (UNIT, 2 * UNIT):  # try; wait for a limited time
    run([(A, B), (B, A)], threading.Barrier(2).wait, limits)
    claim(gave_way, "somebody gave its first lock back")
