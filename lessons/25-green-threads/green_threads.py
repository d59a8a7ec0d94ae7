"""green_threads.c with gevent where it is installed, or else with asyncio."""
import asyncio, os, socket, time
try: import gevent; from gevent import socket
except ImportError: gevent = None
UNIT, now = float(os.environ.get("LESSON_UNIT", "0.2")), time.monotonic  # 1 u in seconds
def claim(held, sentence): print("    ok     " if held else "    FAILED ", sentence); held or os._exit(1)
async def block(units, value): time.sleep(units * UNIT); return value
async def nap(units, value=0): gevent.sleep(units * UNIT) if gevent else await asyncio.sleep(units * UNIT); return value
async def do(sock, call, *args):  # gevent's calls switch by themselves, and nobody awaits
    return getattr(sock, call)(*args) if gevent else await getattr(asyncio.get_running_loop(), "sock_" + call)(sock, *args)
async def gather(*jobs):
    greens = [gevent.spawn(run, timed(job)) for job in jobs] if gevent else await asyncio.gather(*map(timed, jobs))
    return zip(*[green.get() for green in greens] if gevent else greens)  # values, begins, ends
async def timed(job): begin = now(); value = await job; return value, begin, now()
def run(job):
    try: job.send(None)
    except StopIteration as end: return end.value
async def serve(listener, units): client, _ = await do(listener, "accept"); await nap(units); await do(client, "sendall", b"x" * 1000); client.close()
async def fetch(client, address): await do(client, "connect", address); return len(await do(client, "recv", 1000))
async def main():
    for sleep, least, sentence in (nap, 2, "both slept at the same time"), (block, 3, "play could not begin before eat was done"):
        values, begins, ends = await gather(sleep(2, "full"), nap(1, "tired"))
        claim(values == ("full", "tired"), 'eat left "full", and play left "tired"'); claim((begins[1] >= ends[0]) == (sleep is block), sentence)
        claim(max(ends) - begins[0] >= least * UNIT, f"together they took at least {least} u")
        sleep is nap and claim(max(ends) - begins[0] < sum(ends) - sum(begins), "but less than one after the other")
    sockets = [socket.socket() for _ in range(6)]; [(s.setblocking(bool(gevent)), s.bind(("127.0.0.1", 0))) for s in sockets]; [s.listen() for s in sockets[:3]]
    values, begins, ends = await gather(*[serve(s, 3 - i) for i, s in enumerate(sockets[:3])], *[fetch(s, t.getsockname()) for s, t in zip(sockets[3:], sockets)])
    claim(all(v == 1000 and e - b >= u * UNIT for v, b, e, u in zip(values[3:], begins[3:], ends[3:], (3, 2, 1))), "all pages came, and each as late as its server sent it")
    claim(max(begins[3:]) < min(ends[3:]), "all of them were waited for at once"); claim(max(ends) - begins[3] < sum(ends[3:]) - sum(begins[3:]), "that took less than one after the other")
(run if gevent else asyncio.run)(main())
