"""join_daemon.c with multiprocessing.Process."""
import multiprocessing, os, sys, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp = multiprocessing.get_context("fork")

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def state_of(pid):
    with open(f"/proc/{pid}/stat") as stat: return stat.read().split()[2]

def start_one(refused):
    try: mp.Process(target=print).start()
    except AssertionError: refused.set()

event = mp.Event(); child = mp.Process(target=event.wait); child.start()
child.join(UNIT)
claim(child.exitcode is None, "a join that times out returns")
claim(child.is_alive(), "the child lives on")
event.set(); child.join()
claim(child.exitcode == 0, "a join without a limit waits for the end")
child = mp.Process(target=sys.exit, args=(7,)); child.start()
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
claim(state_of(child.pid) == "Z", "before the join it is a zombie")
child.join(); claim(not os.path.exists(f"/proc/{child.pid}"), "the join has removed it")
claim(child.exitcode == 7, "and brought its exit code, 7")
refused = mp.Event(); child = mp.Process(target=start_one, args=(refused,), daemon=True)
child.start(); child.join(); claim(refused.is_set(), "a daemon may have no children")
