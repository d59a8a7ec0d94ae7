"""coroutine.c with a generator, and with Python's threads and processes."""
import multiprocessing, sys, threading, time

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)
def fibonacci(made):  # for ever: who calls next() decides how many
    number, following = 0, 1
    while True:
        made.append(threading.get_ident()); yield number
        number, following = following, number + following
def repeat(action, count=300):  # ns per switch, there and back each time
    begin = time.perf_counter()
    for _ in range(count): action()
    return (time.perf_counter() - begin) / count / 2 * 1e9
def hand_over(module, kind):
    mine, others = module.Semaphore(0), module.Semaphore(1)
    def turn(): mine.acquire(); others.release()
    def answer(): others.acquire(); mine.release()
    other = kind(target=lambda: [answer() for _ in range(301)], daemon=True)
    other.start(); turn(); cost = repeat(turn); other.join(); return cost
made = []; source = fibonacci(made); seen = [(next(source), len(made)) for _ in range(10)]
claim([n for n, _ in seen] == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34], "10 numbers are right: it kept its place")
claim([count for _, count in seen] == list(range(1, 11)), "each was made when it was asked for")
claim(set(made) == {threading.get_ident()}, "all of it in one thread")
switch, fork = min(repeat(lambda: next(source)) for _ in range(9)), multiprocessing.get_context("fork")
threads, processes = (min(hand_over(*of) for _ in range(9)) for of in ((threading, threading.Thread), (fork, fork.Process)))
print(f"  ns per switch: a generator {switch:.0f}, threads {threads:.0f}, processes {processes:.0f}")
claim(threads > 3 * switch, "a switch of threads costs many times a coroutine's")
claim(processes > 3 * switch, "and so does a switch of processes")
