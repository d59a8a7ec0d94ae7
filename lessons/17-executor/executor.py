"""executor.c with concurrent.futures; --threads for threads."""
import concurrent.futures as cf, multiprocessing, os, random, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp, threads = multiprocessing.get_context("fork"), "--threads" in sys.argv
ended, gate = mp.Value("i"), mp.Event()

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def work(number):
    gate.wait(); time.sleep(random.randint(1, 3) * UNIT)
    with ended: ended.value += 1
    return number * number, os.getpid()
def nothing(_=None): pass
def open_pool(): return cf.ThreadPoolExecutor(4) if threads else cf.ProcessPoolExecutor(4, mp_context=mp)

pool = open_pool(); futures = [pool.submit(work, number) for number in range(10)]
claim(ended.value == 0, "main goes on before any task is done")
gate.set(); pool.shutdown(); claim(ended.value == 10, "shutdown waits for all 10")
pids = {future.result()[1] for future in futures}
claim(pids == {os.getpid()} if threads else len(pids) <= 4, "CPython: at most four pids did all tasks")
try: pool.submit(work, 0); refused = False
except RuntimeError: refused = True
claim(refused, "submit after shutdown is refused")
with open_pool() as pool: claim([square for square, _ in pool.map(work, range(10), chunksize=2)] == [n * n for n in range(10)], "results come in the order of the arguments")
begin = time.monotonic(); children = [(p := mp.Process(target=nothing), p.start(), p.join()) for _ in range(300)]
one_each = time.monotonic() - begin; begin = time.monotonic()
with open_pool() as pool: list(pool.map(nothing, range(300)))
claim(one_each > 2 * (time.monotonic() - begin), "a process for each task takes more than twice as long")
