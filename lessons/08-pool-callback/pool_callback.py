"""pool_callback.c with Python's own Pool, which never ends the task of a killed worker."""
import multiprocessing, os, sys, threading, time

UNIT = float(os.environ.get("LESSON_UNIT", "0.2"))  # 1 u in seconds
pages, errors, begun, go_on = [], [], threading.Event(), threading.Event()
def make_page(number, bad, deadly):
    time.sleep(UNIT)
    if number == bad: raise OSError(f"filename{number} can not be read")
    if number == deadly: os.kill(os.getpid(), 9)
    return number, os.getpid()
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def hand_over(callback, bad=0, deadly=0):
    return [pool.apply_async(make_page, (number, bad, deadly), {}, callback,
                             errors.append) for number in range(1, 11)]
if __name__ == "__main__":
    pool = multiprocessing.Pool(3)
    hand_over(lambda page: pages.append((*page, os.getpid()))); pool.close(); pool.join()
    claim(sorted(page[0] for page in pages) == list(range(1, 11)), "when join returned, all 10 results were printed, once each")
    claim(all(by == os.getpid() != maker for _, maker, by in pages), "the parent printed all of them, a worker none")
    pool = multiprocessing.Pool(3)
    done = [result for result in hand_over(None, 5) if result.wait() or result.successful()]
    claim([str(error) for error in errors] == ["filename5 can not be read"], 'only filename5 failed, and the message says "can not be read"')
    claim(len(done) == 9, "the other 9 tasks were done")
    killed, *others = hand_over(None, 0, 1)
    claim(all(result.get() for result in others), "the other 9 tasks were done")
    claim(killed.wait(2 * UNIT) or not killed.ready(), "CPython: filename1 is waited for in vain")
    *_, last = hand_over(lambda page: begun.set() or go_on.wait())
    claim(begun.wait() and (last.wait(6 * UNIT) or not last.ready()), "CPython: the first callback holds up all results"); go_on.set()
