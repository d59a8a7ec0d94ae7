"""thread_create.c with threading and multiprocessing."""
import multiprocessing, os, statistics, sys, threading, time
mp = multiprocessing.get_context("fork")
tids, work, pids, x = [], mp.Value("d"), mp.SimpleQueue(), 100
def greet(): tids.append(threading.get_native_id())
class Greeter(threading.Thread):  # a kind of thread with its own run
    def run(self): greet()
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def run(worker): worker.start(); worker.join()
def cost(kind):  # CPU time of both, from the call to the first line of what was started
    worker = kind(target=lambda: setattr(work, "value", time.thread_time()))
    call = time.thread_time(); worker.start(); own = time.thread_time() - call; worker.join()
    return own + work.value
def ids(kind):
    for _ in "123": run(kind(target=lambda: pids.put((os.getpid(), os.getppid()))))
    return [pids.get() for _ in "123"]

greet(); run(threading.Thread(target=greet)); run(Greeter())
claim(len(set(tids)) == 3, "each way ran its function in a thread of its own")
thread, process = map(statistics.median, zip(*[(cost(threading.Thread), cost(mp.Process)) for _ in range(200)]))
print(f"  A process costs {process / thread:.1f} times as much.")
claim(process > 1.2 * thread, "a process costs more to start than a thread, by a fifth at least")
run(threading.Thread(target=lambda: globals().update(x=20)))
claim(x == 20, "main sees what a thread has set")
x = 100; run(mp.Process(target=lambda: globals().update(x=20)))
claim(x == 100, "main still sees 100 after the process")
claim({pid for pid, _ in ids(threading.Thread)} == {os.getpid()}, "all threads have main's pid")
claim(all(pid != os.getpid() == parent for pid, parent in ids(mp.Process)), "each process has another pid, and main as its parent")
