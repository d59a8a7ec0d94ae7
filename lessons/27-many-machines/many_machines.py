"""many_machines.c without MPI: ranks that are linked to rank 0 by sockets."""
import collections, concurrent.futures, multiprocessing, os, sys, time
from multiprocessing.connection import Client, Listener, wait
UNIT, mp = float(os.environ.get("LESSON_UNIT", "0.2")), multiprocessing.get_context("fork")  # 1 u in seconds
def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence); held or sys.exit(1)
def square(number, units=0, fails=""):
    time.sleep(units * UNIT); return number ** 2 if not fails else {}[fails]
def attempt(task, *item):
    try: return task(*item)
    except KeyError as error: return str(error)
def serve(address):
    with Client(address, authkey=b"27") as rank0:  # a function travels as its name
        while True: task, items = rank0.recv(); rank0.send((os.getpid(), [attempt(task, *item) for item in items]))
def far_map(task, items, chunk=1):
    global messages; messages, results, todo, away = 0, [None] * len(items), list(range(0, len(items), chunk)), dict.fromkeys(ranks)
    while away:
        for rank in list(away) if None in away.values() else wait(away):
            if (at := away.pop(rank)) is not None: pid, out = rank.recv(); results[at:at + len(out)] = out; done[pid] += len(out); messages += 1
            if todo: away[rank] = todo.pop(0); rank.send((task, items[away[rank]:away[rank] + chunk])); messages += 1
    return results
pool, listener, done = concurrent.futures.ProcessPoolExecutor(3, mp), Listener(("127.0.0.1", 0), authkey=b"27"), collections.Counter()
crew = [mp.Process(target=serve, args=[listener.address], daemon=True) for _ in range(3)]; ranks = [(process.start(), listener.accept())[1] for process in crew]
claim(len({os.getpid(), *[process.pid for process in crew]}) == 4, "each of the 4 ranks is a process of its own")
results = far_map(square, [(n, 1 + n % 3) for n in range(10)]); claim(results == [n * n for n in range(10)], "results come in the order of the arguments")
claim(results == list(pool.map(square, range(10))), "a pool on this machine gives the same, byte for byte"); claim(sorted(done) == sorted(p.pid for p in crew), "rank 0 hands out, and 3 others did all tasks")
jobs = [(n, 2 * (n == 4), {4: "four", 9: "nine"}.get(n)) for n in range(10)]; results = far_map(square, jobs); errors = [r for r in results if isinstance(r, str)]
claim(errors[0] == attempt(lambda: list(pool.map(square, *zip(*jobs)))), "of two errors it tells the first, as a pool here does"); claim(len(errors) == 2, "the other 8 tasks were done")
for chunk, sentence in (1, "one by one, each task costs two messages"), (100, "in chunks of 100, 1000 tasks cost 20 messages"): far_map(abs, [(1,)] * 1000, chunk); claim(messages == 2000 // chunk, sentence)
crew[1].kill(); crew[1].join(); claim(wait(ranks) == [ranks[1]] and crew[0].is_alive() and crew[2].is_alive(), "CPython: one rank is killed, and the others live on")
