"""shared_array.c with Python's own Array, which is typed and shared as well."""
import multiprocessing, sys

mp = multiprocessing.get_context("fork")

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)

def raises(error, call, *args):
    try: call(*args)
    except error: return True

def write_own_element(index):
    array[index] = 10 + index
    sys.exit(array[index] != 10 + index)  # does it see its own change?

def run_five():
    children = [mp.Process(target=write_own_element, args=(index,)) for index in range(5)]
    for child in children: child.start()
    for child in children: child.join()
    claim(not any(child.exitcode for child in children), "each process sees its own change")

array = [1, 2, 3, 4, 5]; run_five(); claim(array == [1, 2, 3, 4, 5], "main sees none of them")
array = mp.Array("i", array); run_five()
claim(array[:] == [10, 11, 12, 13, 14], "main sees all 5 of them")
claim(raises(TypeError, mp.Array, "x", 5), "the unknown type code x is refused")
claim(raises(IndexError, array.__setitem__, 5, 99), "the index behind the last is refused")
claim(raises(TypeError, array.__setitem__, 0, 0.5), "an element of another type is refused")
claim(array[-1] == 14, "CPython: the index -1 is the last")
