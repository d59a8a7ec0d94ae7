"""mutex.c with threading.Lock."""
import contextlib, os, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def take_one(lock, loaded_together):
    global x
    with lock:
        t = x; loaded.append(t)
        loaded_together(); time.sleep(UNIT)
        x = t - 1

def run_visits(lock, loaded_together):
    global x, loaded
    x, loaded, begin = 1, [], time.monotonic()
    threads = [threading.Thread(target=take_one, args=(lock, loaded_together)) for _ in range(10)]
    for step in threading.Thread.start, threading.Thread.join: [step(thread) for thread in threads]
    return time.monotonic() - begin

run_visits(contextlib.nullcontext(), threading.Barrier(10).wait)
claim(loaded == [1] * 10, "all 10 loaded 1")
claim(x == 0, "x ends at 0: of 10 changes one is left")
took = run_visits(threading.Lock(), int)
claim(loaded == [1, 0, -1, -2, -3, -4, -5, -6, -7, -8], "each loaded what the one before it stored")
claim(x == -9, "x ends at -9: no change is lost")
claim(took >= 10 * UNIT, "the price: 10 times 1 u took at least 10 u")
