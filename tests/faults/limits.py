"""Limits of the machine: few descriptors, no /dev/shm, a closed stdout."""
import os
import shutil
import subprocess

from attack import ROOT, Row, Run, lessons, scratch, side_by_side

# A shell that changes something and then becomes the lesson.
def after(commands):
    return ["sh", "-c", f'{commands} exec "$@"', "sh"]


def mounted(commands):
    return ["unshare", "--mount", *after(commands)]


def may_mount():
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def user_copy(lesson):
    """Where another user can read and run it."""
    return scratch / f"lesson-{lesson}"


def as_user(number):
    uid = str(20000 + number)
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if os.geteuid() == 0 else []


def cases():
    """What is limited, the wrapper, and the statuses that are right."""
    cpu = min(os.sched_getaffinity(0))
    yield "32 descriptors", after("ulimit -n 32;"), {}, (0, 3)
    for megabytes in 4, 16, 64, 256:
        yield f"{megabytes} MB of addresses", after(f"ulimit -v {megabytes * 1024};"), {}, (0, 3, 127)
    yield "one CPU", ["taskset", "-c", str(cpu)], {}, (0,)
    yield "no HOME", [], {"HOME": None}, (0,)
    yield "closed stdin", after("exec <&-;"), {}, (0,)
    yield "closed stdout", after("exec >&-;"), {}, (3,)
    yield "full stdout", after("exec >/dev/full;"), {}, (3,)
    yield "closed stderr", after("exec 2>&-;"), {}, (0,)
    if may_mount():
        yield "a /dev/shm of 1 MB", mounted("mount -t tmpfs -o size=1m shm /dev/shm &&"), {}, (0, 3)
        yield "no /dev/shm", mounted("mount -t tmpfs -o size=4k,mode=0 none /dev &&"), {}, (0, 3)
        yield "a /tmp that can not be written", mounted(
            "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp &&"), {"TMPDIR": None}, (0, 3)


def attack_one(row, lesson, name, wrapper, env, statuses):
    run = Run(lesson, wrapper=wrapper, **env).finish()
    named = run.status != 3 or run.names_an_error()
    row.judge(run, run.status in statuses and named, name)


def as_ordinary_user(row, lesson, number):
    for processes in None, 1, 2, 4, 8:
        limit = [] if processes is None else ["prlimit", f"--nproc={processes}"]
        wrapper = [*limit, *as_user(100 * int(lesson) + number)]
        run = Run(lesson, wrapper=wrapper, program=user_copy(lesson)).finish()
        fine = run.status == 0 or processes is not None and (
            run.status == 3 and run.names_an_error() or run.status == 1 and run.claims()[1] > 0)
        row.judge(run, fine, f"as a user with {processes or 'no limit of'} processes")


def closed_pipe(row, lesson):
    reader, writer = os.pipe()
    os.close(reader)
    run = Run(lesson, stdout=writer)
    os.close(writer)
    run.finish()
    row.judge(run, run.status == 3 and run.names_an_error(), "into a closed pipe")


def attack():
    # Before anything is started, which would inherit a file that is open
    # for writing; and a program that somebody may write to does not run.
    for lesson in lessons():
        shutil.copy(ROOT / f"lesson-{lesson}", user_copy(lesson))
    rows = {name: Row(name) for name, *_ in cases()}
    user, pipe = Row("an ordinary user, few processes"), Row("a pipe that is closed")
    jobs = [(attack_one, rows[name], lesson, name, *case) for lesson in lessons() for name, *case in cases()]
    jobs += [(as_ordinary_user, user, lesson, 1) for lesson in lessons()]
    jobs += [(closed_pipe, pipe, lesson) for lesson in lessons()]
    side_by_side(jobs)
    return [*rows.values(), user, pipe]
