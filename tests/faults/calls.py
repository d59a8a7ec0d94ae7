"""Calls that fail: the nth of each, for as many as the lesson makes."""
import errno
import struct

from attack import WITH_MPI, Row, Run, lessons, scratch, share_of, shim, side_by_side

BOUND = share_of(8)  # how many of each call fail in their turn
# In the order of shim.c.
CALLS = ["fork", "pthread_create", "mmap", "shm_open", "sem_open", "pipe", "socket", "accept",
         "epoll_create", "write"]
ERRORS = {
    "fork": [errno.EAGAIN], "pthread_create": [errno.EAGAIN], "mmap": [errno.ENOMEM],
    "shm_open": [errno.EMFILE, errno.ENOSPC], "sem_open": [errno.ENOSPC], "pipe": [errno.EMFILE],
    "socket": [errno.EMFILE], "accept": [errno.EMFILE], "epoll_create": [errno.EMFILE],
    "write": [errno.EIO, errno.ENOSPC],
}


def run_with(lesson, call="", number=0, error=0):
    counts = scratch / f"counts-{lesson}-{call}-{number}-{error}"
    counts.write_bytes(bytes(4 * len(CALLS)))
    counts.chmod(0o666)
    run = Run(lesson, LD_PRELOAD=str(shim), FAULT_COUNTS=str(counts), FAULT=call, FAULT_AT=str(number),
              FAULT_ERROR=str(error)).finish()
    run.made = dict(zip(CALLS, struct.unpack(f"{len(CALLS)}i", counts.read_bytes())))
    counts.unlink()
    return run


def attack_one(row, lesson, normal, call, number, error):
    run = run_with(lesson, call, number, error)
    held, failed = run.claims()
    went_on = run.status == 0 and failed == 0 and (held, failed) == normal.claims()
    told = run.status == 1 and failed > 0 or run.status == 3 and run.names_an_error(errno.errorcode[error])
    row.judge(run, went_on or told, f"{call} {number} fails with {errno.errorcode[error]}")


def attack_all(row, lesson):
    normal = run_with(lesson)
    row.judge(normal, normal.status == 0, "with the shim")
    for call, made in normal.made.items():
        for number in range(1, min(made, BOUND) + 1):
            for error in ERRORS[call]:
                attack_one(row, lesson, normal, call, number, error)


def attack():
    row = Row("the nth call of a kind fails: an error with a name, or it goes on")
    side_by_side((attack_all, row, lesson) for lesson in lessons() if lesson not in WITH_MPI)
    return [row]
