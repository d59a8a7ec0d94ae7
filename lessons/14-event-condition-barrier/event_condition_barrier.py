"""event_condition_barrier.c with what Python has: the same for threads and for processes."""
import multiprocessing, os, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp = multiprocessing.get_context("fork")
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def start(body): member = Member(target=body); member.start(); return member
def add(number, step=1): number.acquire(); number.value += step; number.release()
def visit(): gate.wait(); add(passed); barrier.wait(); add(early, passed.value < 3)
def call(): filled.acquire(); filled.notify(); filled.release()
def has_item(): there = stock.value > 0; add(looks); return there
def consume(): filled.acquire(); wait(); add(stock, -1); filled.release()
def await_looks(count):
    while looks.value < count and first.is_alive(): time.sleep(0.001)
for kind, Member in (threading, threading.Thread), (mp, mp.Process):
    gate, filled, barrier = kind.Event(), kind.Condition(), kind.Barrier(3)
    passed, early, looks, stock = [mp.Value("i", 0) for _ in range(4)]
    visits = [start(visit) for _ in "123"]
    time.sleep(UNIT); claim(passed.value == 0, "nobody passes while the gate is closed")
    gate.set(); [member.join() for member in visits]
    claim(passed.value == 3, "opened once, it lets all 3 pass")
    claim(early.value == 0, "nobody begins a phase before all have done the last")
    for wait, left, sentence in (  # wait_for is a while
            (lambda: has_item() or filled.wait(), -1, "with if it takes an item that is not there"),
            (lambda: filled.wait_for(has_item), 0, "with while nobody takes what is not there")):
        looks.value = 0; first = start(consume); await_looks(1)
        add(stock); start(consume).join(); call()  # a thief comes before the call
        await_looks(3); claim(stock.value == left, sentence); add(stock); call(); first.join()
