"""future.c with concurrent.futures; --threads for threads."""
import concurrent.futures as cf, multiprocessing, os, sys, threading, time
UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp, threads = multiprocessing.get_context("fork"), "--threads" in sys.argv
gates = [mp.Event() for _ in range(3)]  # a task waits for its gate
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def open_pool(n): return cf.ThreadPoolExecutor(n) if threads else cf.ProcessPoolExecutor(n, mp_context=mp)
def sum_from(base): return sum(range(base, base + 10))
def pass_gate(number): gates[number].wait(); return number
def fail(base): raise ValueError(f"base {base} is negative")
def raises(error, call, *args):
    try: call(*args)
    except error: return True
with open_pool(3) as pool:
    futures = [pool.submit(sum_from, base) for base in (0, 100, 200)]
    claim([future.result() for future in futures] == [45, 1045, 2045], "each future gave the sum of its own task")
    slow = pool.submit(pass_gate, 2)
    claim(not cf.wait([slow], UNIT, cf.FIRST_EXCEPTION)[0], "to wait for an error takes long where there is none")
    claim(slow not in cf.wait([slow, pool.submit(fail, -1)], None, cf.FIRST_EXCEPTION)[0], "where there is one it does not wait for the others")
    claim(raises(cf.TimeoutError, slow.result, UNIT), "a time limit that passes is told")
    gates[2].set(); claim(slow.result() == 2, "the task went on, and a later result succeeds"); gates[2].clear()
    claim(isinstance(pool.submit(fail, -1).exception(), ValueError), "an error in the task comes out here")
    futures = [pool.submit(pass_gate, number) for number in range(3)]; ended = cf.as_completed(futures)
    claim(not cf.wait(futures, 0, cf.FIRST_COMPLETED)[0], "at first none is completed")
    order = [(gates[n].set(), next(ended).result())[1] for n in (2, 0, 1)]
    claim(order == [2, 0, 1], "as_completed gives them as they end, not as submitted")
    callers = []; futures[0].add_done_callback(lambda f: callers.append(threading.get_ident()))
    claim(callers == [threading.get_ident()], "on a future that is done the caller runs it, at once")
