"""process_create.c with multiprocessing.Process."""
import multiprocessing, os, signal, sys, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp = multiprocessing.get_context("fork")
notes = mp.SimpleQueue()

def nap():
    begin = time.monotonic(); time.sleep(UNIT)
    notes.put((os.getpid(), os.getppid(), begin, time.monotonic()))

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

children = [mp.Process(target=nap) for _ in range(10)]
claim(not children[0].is_alive(), "not alive before the start")
for child in children: child.start()
pids, parents, begins, ends = zip(*[notes.get() for _ in children])
for child in children: child.join()
claim(len(set(pids)) == 10, "10 different pids")
claim(set(parents) == {os.getpid()}, "all 10 have this program as parent")
claim(max(ends) - min(begins) < 6 * UNIT + 0.3, "they slept at the same time, not one after another")
for how, end, code in (("terminate", mp.Process.terminate, -15), ("kill", mp.Process.kill, -9)):
    child = mp.Process(target=signal.pause); child.start()
    if code == -15: claim(child.is_alive(), "alive while it runs")
    end(child); child.join()
    claim(child.exitcode == code, f"{how}: the code is minus the signal, {code}")
claim(not child.is_alive(), "not alive once it was joined")
