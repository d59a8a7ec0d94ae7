"""The same claims everywhere: compilers, optimisation, kinds of output."""
import os
import pty
import re
import shutil
import subprocess

from attack import Row, Run, lessons, side_by_side
from builds import make, program

COMPILERS = {"gcc": "gcc", "clang": "clang", "musl": "musl-gcc"}
FLAGS = "-O0", "-O2", "-O3", "-O2 -DNDEBUG"


def sentences(text):
    """The claims, without colour, each in one line."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")
    return [" ".join(claim.split()) for claim in
            re.findall(r"^    ok      .*(?:\n            \S.*)*", plain, re.M)]


def one_build(row, lesson, variant, normal):
    run = Run(lesson, program=program(variant, lesson), unit="0.01").finish()
    same = sentences(run.stdout) == normal[lesson]
    row.judge(run, run.status == 0 and same, f"built as {variant}")


def on_a_terminal(row, lesson, normal):
    master, slave = pty.openpty()
    run = Run(lesson, stdout=slave, unit="0.01")
    os.close(slave)
    text = b""
    while True:
        try:
            some = os.read(master, 1 << 16)
        except OSError:  # EIO: nobody has the other side any more
            break
        text += some
    os.close(master)
    run.finish()
    row.judge(run, run.status == 0 and sentences(text.decode()) == normal[lesson], "on a terminal")


def in_a_pipe(row, lesson, normal):
    run = Run(lesson, wrapper=["sh", "-c", '{ "$@"; echo $? >status; } | cat; s=$(cat status); '
                               'rm status; exit $s', "sh"], unit="0.01").finish()
    row.judge(run, run.status == 0 and sentences(run.stdout) == normal[lesson], "in a pipe")


# What qemu-user can not do: it has no robust list, so nobody learns that
# a holder died (06, and the workers of a pool that is terminated: 07,
# 17, 18); a thread in a forked child ends it by an assertion of its own
# (10, 12, 23).
NOT_EMULATED = "06", "07", "10", "12", "17", "18", "23"


def emulated(row, lesson):
    normal = sentences(Run(lesson, unit="0.05").finish().stdout)
    run = Run(lesson, wrapper=["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
              program=program("aarch64", lesson), unit="0.05").finish()
    row.judge(run, run.status == 0 and sentences(run.stdout) == normal, "on aarch64")


def attack():
    normal = {lesson: sentences(Run(lesson, unit="0.01").finish().stdout) for lesson in lessons()}
    rows, jobs = [], []
    for name, compiler in COMPILERS.items():
        rows.append(Row(f"the same claims with {name}, {', '.join(FLAGS)}"))
        for flags in FLAGS:
            variant = f"{name}{flags.replace(' ', '')}"
            worked, said = make(variant, f"CC={compiler}", f"CFLAGS={flags}", target="all")
            if not worked:
                rows[-1].count(False, said[-2000:])
                continue
            jobs += [(one_build, rows[-1], lesson, variant, normal) for lesson in lessons()
                     if program(variant, lesson).exists()]
    rows.append(Row("the same claims on a terminal and in a pipe"))
    jobs += [(how, rows[-1], lesson, normal) for lesson in lessons() for how in (on_a_terminal, in_a_pipe)]
    if shutil.which("qemu-aarch64") and shutil.which("aarch64-linux-gnu-gcc"):
        rows.append(Row("the same claims on aarch64, emulated"))
        worked, said = make("aarch64", "CC=aarch64-linux-gnu-gcc", "MPICC=none", target="all")
        rows[-1].count(worked, said[-2000:])
        jobs += [(emulated, rows[-1], lesson) for lesson in lessons()
                 if lesson not in NOT_EMULATED and program("aarch64", lesson).exists()]
    side_by_side(jobs, 6)
    return rows
