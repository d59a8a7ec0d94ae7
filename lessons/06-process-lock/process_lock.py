"""process_lock.c with Python's locks: recursive, but the dead keep them."""
import contextlib, multiprocessing, os, sys, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp = multiprocessing.get_context("fork")
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def visit(index, lock, meet):
    with lock:
        array[index] += 10; time.sleep(UNIT); meet()
        prints.put(sum(element > 10 for element in array[:]))
def other(attempt):  # what it returns in another process, or 0 when it is refused
    def run():
        with contextlib.suppress(AssertionError): sys.exit(attempt())
    process = mp.Process(target=run); process.start(); process.join(); return process.exitcode

for lock, meet, shown, sentence in (
        (contextlib.nullcontext(), mp.Barrier(3).wait, [3, 3, 3], "each of the 3 prints shows all 3 changes"),
        (mp.RLock(), int, [1, 2, 3], "each print shows one change more than the one before")):
    array, prints = mp.Array("i", [1, 2, 3]), mp.SimpleQueue()
    visits = [mp.Process(target=visit, args=(i, lock, meet)) for i in range(3)]
    for step in mp.Process.start, mp.Process.join: [step(process) for process in visits]
    claim([prints.get() for _ in visits] == shown, sentence)
claim(lock.acquire() and lock.acquire(False), "a recursive lock lets its holder in again")
claim(other(lambda: lock.release() or 1) == 0, "release by another process is refused")
claim([lock.release() or other(lambda: lock.acquire(False)) for _ in "12"] == [0, 1], "taken twice, it is free after the second release only")
dead = mp.RLock(); killed = other(lambda: dead.acquire() and os.kill(os.getpid(), 9))
claim(killed == -9, "the holder died of SIGKILL")
claim(not dead.acquire(timeout=UNIT), "nobody else gets the lock of the dead")
