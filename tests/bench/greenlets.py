#!/usr/bin/env python3
"""A greenlet's switch there and back, in ns of CPU time.

    greenlets.py switch greenlet CPUS

Where greenlets are not installed it says so, with status 69.
"""
import os
import sys
import time

SWITCHES = 200000
DEBIAN = "/usr/bin/python3"  # its packages are not seen by another Python

try:
    import greenlet
except ImportError:
    if sys.executable == DEBIAN or not os.path.exists(DEBIAN):
        print("greenlet is not installed: apt-get install python3-greenlet")
        sys.exit(69)
    os.execv(DEBIAN, [DEBIAN, "-W", "ignore", *sys.argv])


def measure_switch():
    def switch_for_ever():
        back = greenlet.getcurrent().parent.switch
        while True:
            back()

    switch = greenlet.greenlet(switch_for_ever).switch
    begin = time.thread_time()
    for _ in range(SWITCHES):
        switch()
    return (time.thread_time() - begin) / SWITCHES * 1e9


if int(sys.argv[3]) > 0:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[3])])
print("%.9g" % measure_switch())
