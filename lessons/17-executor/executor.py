"""executor.c with concurrent.futures; --threads for threads."""
import concurrent.futures as cf, logging, multiprocessing, os, random, sys, threading, time
UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
threads, here, mp = "--threads" in sys.argv, threading.local(), multiprocessing.get_context("fork")
ended, gate = mp.Value("i"), mp.Event()
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def work(number):
    gate.wait(); time.sleep(random.randint(1, 3) * UNIT)
    with ended: ended.value += 1
    return number * number, os.getpid()
def prepare(): here.times = getattr(here, "times", 0) + 1  # each worker has its own
def times(_): return here.times
def raises(error, call):
    try: call()
    except error: return True
def open_pool(begin=None): return cf.ThreadPoolExecutor(4, initializer=begin) if threads else cf.ProcessPoolExecutor(4, mp, begin)
pool = open_pool(); futures = [pool.submit(work, n) for n in range(10)]
claim(ended.value == 0, "main goes on before any task is done")
gate.set(); pool.shutdown(); claim(ended.value == 10, "shutdown waits for all 10")
claim(len({future.result()[1] for future in futures}) <= (1 if threads else 4), "CPython: at most four pids did all tasks")
claim(raises(RuntimeError, lambda: pool.submit(work, 0)), "submit after shutdown is refused")
with open_pool() as pool: claim([square for square, _ in pool.map(work, range(10), chunksize=2)] == [n * n for n in range(10)], "results come in the order of the arguments")
with open_pool() as pool: gate.clear(); claim(raises(cf.TimeoutError, lambda: list(pool.map(work, range(10), timeout=UNIT))), "map with a time limit of 1 u gives up, and not before"); gate.set()
with open_pool(prepare) as pool: claim(set(pool.map(times, range(10))) == {1}, "each task found a worker that had prepared once")
logging.disable(); claim(raises(cf.BrokenExecutor, lambda: open_pool(sys.exit).submit(abs, 0).result()), "an initializer that fails breaks the pool: no task runs")
begin = sum(os.times()[:4]); [(child := mp.Process(target=abs, args=(0,)), child.start(), child.join()) for _ in range(200)]  # CPU time, also of children
one_each = sum(os.times()[:4]) - begin; pool = open_pool(); done = len(list(pool.map(abs, range(200)))); pool.shutdown()
claim(done == 200 and one_each > 2 * (sum(os.times()[:4]) - begin - one_each), "a process for each task costs more than twice the CPU time")
