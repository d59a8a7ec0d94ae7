"""timer.c with threading.Timer, which is a thread of its own for each timer."""
import os, random, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
lock, runs, threads, late = threading.Lock(), [], [], []

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def task(number, due):
    with lock: runs.append(number); threads.append(threading.get_ident()); late.append(time.monotonic() - due)

def start(seconds, number):
    timer = threading.Timer(seconds, task, (number, time.monotonic() + seconds))
    timer.start(); return timer

timer = start(3 * UNIT, 10); timer.join()
claim(late[0] >= 0, "it does not run before 3 u are over")
claim(threads[0] != threading.get_ident(), "it runs in another thread")
timer.cancel(); claim(runs == [10], "to cancel it afterwards is harmless")
timer = start(2 * UNIT + 0.3, 10); timer.cancel()
time.sleep(3 * UNIT + 0.3); claim(runs == [10], "cancelled before it is due, it never runs")
timer.cancel(); claim(runs == [10], "to cancel it twice is harmless")
claim(start(-UNIT, 11).join() is None and runs[-1] == 11, "CPython: a negative delay is none at all")
timers = [start(random.random() * UNIT, number) for number in range(100)]
for timer in timers: timer.join()
claim(min(late[2:]) >= 0, "none was early")
claim(len(set(threads[2:])) > 1, "CPython: each timer is a thread of its own")
