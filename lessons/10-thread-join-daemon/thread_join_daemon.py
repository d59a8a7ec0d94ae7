"""thread_join_daemon.c with threading, which waits for its threads by itself."""
import multiprocessing, os, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp = multiprocessing.get_context("fork")
done, daemon_done, go = mp.Value("i"), mp.Value("i"), threading.Event()

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def run_daemon_and_thread():
    def work(units, flag): time.sleep(units * UNIT); flag.value = 1
    threading.Thread(target=work, args=(9999, daemon_done), daemon=True).start()
    threading.Thread(target=work, args=(2, done)).start()

begin = time.monotonic()
sleepers = [threading.Thread(target=time.sleep, args=(n * UNIT,)) for n in (1, 2, 3)]
for step in threading.Thread.start, threading.Thread.join: [step(thread) for thread in sleepers]
claim(time.monotonic() - begin >= 3 * UNIT, "together they took at least 3 u")

one, two = [threading.Thread(target=go.wait, name=f"thread {n}") for n in (1, 2)]
alive = [one.is_alive()]; one.start(); two.start(); alive.append(one.is_alive())
counts = [threading.active_count()]; go.set(); one.join(); two.join()
claim(alive + [one.is_alive()] == [0, 1, 0], "a thread is alive from its start to its end")
claim(counts + [threading.active_count()] == [3, 1], "3 threads were alive, and 1 after two joins")
child = mp.Process(target=run_daemon_and_thread); child.start(); child.join()
claim(done.value == 1, "the process waited for the thread")
claim(daemon_done.value == 0, "but not for the daemon")
