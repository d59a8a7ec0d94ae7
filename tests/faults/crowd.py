"""Many at once, on a busy machine, and again and again."""
from attack import CPUS, Row, Run, busy, lessons, share_of, side_by_side

COPIES = 30
POOL_RUNS = share_of(500)
POOL_LESSONS = "07", "08", "17", "18", "19"


def copies(row, lesson):
    runs = [Run(lesson) for _ in range(COPIES)]
    for run in runs:
        run.finish()
        row.judge(run, run.status == 0, f"one of {COPIES} copies")


def once(row, lesson, how):
    run = Run(lesson).finish()
    row.judge(run, run.status == 0, how)


def attack():
    crowd = Row(f"{COPIES} copies at once")
    for lesson in lessons():
        copies(crowd, lesson)
    noise = Row("beside two busy loops")
    with busy(2):
        side_by_side(((once, noise, lesson, "beside busy loops") for lesson in lessons() for _ in range(3)), 1)
    pools = Row("the lessons on pools, again and again")
    side_by_side(((once, pools, lesson, "again") for lesson in lessons() if lesson in POOL_LESSONS
                  for _ in range(POOL_RUNS)), 4 * CPUS)
    return [crowd, noise, pools]
