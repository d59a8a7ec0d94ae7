"""shared_dict.c with multiprocessing.Manager, whose server is a process as well."""
import multiprocessing, sys

mp = multiprocessing.get_context("fork")

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def raises(error, call, *args):
    try: call(*args)
    except error: return True

def run(count, target):
    children = [mp.Process(target=target, args=(number,)) for number in range(count)]
    for child in children: child.start()
    for child in children: child.join()
    return not any(child.exitcode for child in children)

def set_own(number): d[f"k{number}"] = f"v{number}"; sys.exit(f"k{number}" not in d.keys())
def get_then_set(number): value = d["n"]; barrier.wait(); d["n"] = value + 1

manager = mp.Manager(); d = manager.dict(); barrier = mp.Barrier(4)
claim(run(10, set_own), "each client saw its own key among the keys")
claim(dict(d) == {f"k{i}": f"v{i}" for i in range(10)}, "the dictionary has 10 keys, each with its value")
claim(raises(KeyError, d.__getitem__, "colour"), "a missing key is an error")
d["n"] = 0; run(4, get_then_set); claim(d["n"] == 1, "4 times get, then set: it was counted once")
claim(not hasattr(d, "add"), "CPython: a dict has no atomic add")
manager._process.kill(); manager._process.join()  # SIGKILL, as an administrator may send it
claim(all(raises((OSError, EOFError), call) for call in (d.keys, d.values, d.__len__)), "CPython: BrokenPipeError, or EOFError, or ConnectionError")
