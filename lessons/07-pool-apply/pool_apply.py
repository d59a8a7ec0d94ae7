"""pool_apply.c with Python's own pools: Pool, or ThreadPool with --threads."""
import multiprocessing as mp, multiprocessing.pool, os, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
Pool = mp.pool.ThreadPool if "--threads" in sys.argv else mp.Pool
def task():
    begin = time.monotonic(); time.sleep(UNIT); return begin, time.monotonic()
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def raises(error, call, *args):
    try: call(*args)
    except error: return True
if __name__ == "__main__":
    for workers, tasks, rounds in (3, 30, 10), (5, 10, 2):
        pool = Pool(workers)
        one = [pool.apply(task) for _ in range(tasks)]
        claim(one[-1][1] - one[0][0] >= tasks * UNIT, f"apply took at least {tasks} u")
        later = [pool.apply_async(task) for _ in range(tasks)]
        claim(raises(ValueError, pool.join), "join before close is refused")
        pool.close(); pool.join()
        claim(raises(ValueError, pool.apply_async, task), "apply_async after close is refused")
        begins, ends = zip(*[result.get() for result in later])
        took, longest = max(ends) - min(begins), max(e - b for b, e in zip(begins, ends))
        claim(rounds * UNIT <= took <= (1.5 * rounds + 1) * longest, f"{rounds} rounds of 1 u, and at most half as long again")
    pool = Pool(3)
    later = [pool.apply_async(task) for _ in range(30)]
    time.sleep(2 * UNIT); pool.terminate(); pool.join()  # drops most of the 30
    claim(raises(mp.TimeoutError, later[-1].get, 2 * UNIT), "CPython: its waiter is not told")
    claim(not mp.active_children() + threading.enumerate()[1:], "after terminate no worker is left")
