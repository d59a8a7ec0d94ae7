"""thread_queues.c with the queue module."""
import os, queue, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
people = [(50, 0, "laotie"), (20, 1, "laoxiong"), (90, 2, "tuhao")]
equals = [(50, 0, "a"), (50, 1, "b"), (20, 2, "c"), (50, 3, "d"), (20, 4, "e")]

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def raises(error, call, *args):
    try: call(*args)
    except error: return True

for name, kind, items in (("FIFO", queue.Queue, people), ("LIFO", queue.LifoQueue, people),
                          ("priority", queue.PriorityQueue, people), ("equals", queue.PriorityQueue, equals)):
    que = kind(len(items))
    for item in items: que.put(item)
    seen = " ".join(que.get()[2] for _ in items)
    claim(seen in ("laotie laoxiong tuhao", "tuhao laoxiong laotie", "laoxiong laotie tuhao", "c e a b d"), f"{name}: {seen}")
def work():
    while que.get(): time.sleep(UNIT); done.append(1); que.task_done()
que, done = queue.Queue(2), []; que.put(1); que.put(2); begin = time.monotonic()
claim(raises(queue.Full, que.put, 3, True, UNIT), "a put into a full queue times out, and puts nothing")
claim(time.monotonic() - begin >= UNIT, "and not before its limit of 1 u")
threading.Thread(target=work, daemon=True).start(); que.put(3); que.join()
claim(len(done) == 3, "when join returned, all 3 tasks were done")
claim(raises(ValueError, que.task_done), "one task_done too many is an error")
claim(raises(queue.Empty, queue.Queue().get, False), "a get from an empty queue times out")
