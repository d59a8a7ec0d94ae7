"""gil.c with CPython's own lock."""
import contextlib, os, statistics, sys, threading, time

UNIT, INTERVAL = float(os.environ.get("LESSON_UNIT", "0.2")), sys.getswitchinterval()
x, spins, to_server, to_client, both = 0, True, os.pipe(), os.pipe(), threading.Barrier(2)
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence, flush=True); held or os._exit(1)
def run_pair(target, *args):
    threads = [threading.Thread(target=target, args=args) for _ in range(2)]
    for step in threading.Thread.start, threading.Thread.join: [step(thread) for thread in threads]
def compute():  # until it has used half a u
    while time.thread_time() < UNIT / 2: pass
def spin():
    while spins: pass
def request():
    time.sleep(4 * INTERVAL); begin = time.monotonic()
    os.write(to_server[1], b"?"); os.read(to_client[0], 1); return time.monotonic() - begin
def update(lock, switch_here):
    global x
    for _ in range(5):
        with lock: t = x; switch_here(); x = t + 1
        switch_here()

if os.fork() == 0: os.close(to_server[0]); os.close(to_client[1]); claim(statistics.median(request() for _ in range(7)) >= INTERVAL, "CPython: a request waits for at least the interval, 5 ms"); os._exit(0)
used, begin = time.process_time(), time.monotonic(); run_pair(compute)
claim(time.process_time() - used <= 1.2 * (time.monotonic() - begin), "under one lock two threads get no more than one CPU")
os.close(to_server[1]); threading.Thread(target=spin).start()
while letter := os.read(to_server[0], 1): os.write(to_client[1], letter)
spins = False; run_pair(update, contextlib.nullcontext(), both.wait); claim(x == 5, "x += 1 loses half of 10 updates")
x = 0; run_pair(update, threading.Lock(), lambda: time.sleep(UNIT / 20)); claim(x == 10, "with a mutex of its own it loses none"); sys.exit(os.wait()[1] != 0)
