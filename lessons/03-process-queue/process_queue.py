"""process_queue.c with multiprocessing.Queue and Pipe."""
import multiprocessing, os, queue, sys, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
mp = multiprocessing.get_context("fork")
lst, lengths, que, turn, sizes = [], mp.Array("i", 10), mp.Queue(20), mp.Lock(), mp.Array("i", 10)

def append(number): lst.append(number); lengths[number] = len(lst)
def put(number):
    with turn: que.put(number); sizes[number] = que.qsize()

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def raises(error, call, *args):
    try: call(*args)
    except error: return True

for body in append, put:
    children = [mp.Process(target=body, args=(number,)) for number in range(10)]
    for child in children: child.start()
    for child in children: child.join()
claim(list(lengths) == [1] * 10, "10 processes appended, and no list is longer than 1")
claim(lst == [], "main's own list is still empty")
claim(sorted(que.get() for _ in children) == list(range(10)), "the queue gave each number back once")
claim(sorted(sizes) == list(range(1, 11)), "the sizes were 1 to 10, in some order")
begin = time.monotonic(); held = raises(queue.Empty, que.get, True, UNIT)
claim(held, "a get from an empty queue times out"); took = time.monotonic() - begin
claim(took >= UNIT, "and not before its limit of 1 u")
