"""sync_async.c with concurrent.futures; --threads for threads."""
import concurrent.futures as cf, multiprocessing, os, sys, threading, time
UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp = multiprocessing.get_context("fork")
go, vain = mp.Event(), [0]  # looks at a future that was not done
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def square(n): go.wait(); time.sleep(0.2 * UNIT); return n * n
def submit_all(): return [pool.submit(square, n) for n in range(20)]
def each(): go.set(); return [pool.submit(square, n).result() for n in range(20)]
def wait(): futures = submit_all(); go.set(); return [f.result() for f in futures]
def all_done(futures): left = sum(not f.done() for f in futures); vain[0] += left; return not left
def poll():
    futures = submit_all(); all_done(futures); go.set()
    while not all_done(futures): pass
    return [f.result() for f in futures]
def called():
    done, got = threading.Semaphore(0), {}
    def note(f): got[f.result()] = True; done.release()
    for f in submit_all(): f.add_done_callback(note)
    go.set(); [done.acquire() for _ in range(20)]; return sorted(got)
for way, least in (each, 4), (wait, 1), (poll, 1), (called, 1):
    go.clear()
    with cf.ThreadPoolExecutor(4) if "--threads" in sys.argv else cf.ProcessPoolExecutor(4, mp) as pool:
        begin, cpu = time.monotonic(), time.process_time()
        claim(way() == [n * n for n in range(20)], "all 20 squares came, in order")
        print(f"  {way.__name__}: {(time.monotonic() - begin) / UNIT:.2f} u, {(time.process_time() - cpu) * 1e3:.2f} ms of CPU time")
        claim(time.monotonic() - begin >= least * UNIT, f"it took {least}.0 u or more")
    if way is poll: claim(vain[0] >= 20, "20 looks were in vain, or more")
