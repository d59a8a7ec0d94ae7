#!/usr/bin/env python3
"""Web servers under the same load, which is wrk's.

    servers.py MEASUREMENT SERVER CPUS

starts the server on that many CPUs (0: all it has) with a worker for
each (nginx-1: with one), has wrk ask for a small page over 64 connections that are kept
alive, and prints one number in the unit of the row in `rows`.  The load
shares the CPUs with the server, so its CPU time counts as well as its
speed.  What is not installed is named, with status 69.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 2
CONNECTIONS = 64
ROOT = Path(__file__).resolve().parents[2]
VARIANT = os.environ.get("VARIANT", "normal")
BODY = b"200 from worker 12345\n"  # as long as the lesson's
ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
          b"Connection: keep-alive\r\n\r\n" % len(BODY) + BODY)


def absent(what, package):
    print(f"{what} is not installed: apt-get install {package}")
    sys.exit(69)


# ----------------------------------------------------------- servers --

LESSONS = {"lesson-23": ["--workers", "{CPUS}"], "lesson-26": ["--http"]}


def lesson(name):
    """Says on which port it listens."""
    folder = ROOT if VARIANT == "normal" else ROOT / "build" / VARIANT
    options = [option.format(CPUS=CPUS) for option in LESSONS[name]]
    return [folder / name, "--serve", "--unit", "1", *options]


def nginx(place, workers):
    if shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") is None:
        absent("nginx", "nginx")
    # A port that is free now: nginx does not say which it has got.
    port = subprocess.check_output([sys.executable, "-c",
        "import socket; print(socket.create_server(('127.0.0.1', 0)).getsockname()[1])"], text=True)
    temp = "".join(f"{name}_temp_path {place}/{name};" for name in
                   ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (place / "nginx.conf").write_text(f"""
        worker_processes {workers}; daemon off; pid {place}/pid; error_log {place}/log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; keepalive_requests 1000000000; {temp}
            server {{
                listen 127.0.0.1:{port.strip()};
                location / {{ default_type text/plain; return 200 "{BODY.decode()}"; }}
            }}
        }}""")
    command = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    return ["sh", "-c", f'echo port {port.strip()}; exec "$@"', "sh", command, "-e", place / "log",
            "-p", place, "-c", place / "nginx.conf"]


def with_gevent():
    for python in sys.executable, "/usr/bin/python3":
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-c", "import gevent"], capture_output=True).returncode == 0:
                return python
    return absent("gevent", "python3-gevent")


def fork_workers():
    """A listening socket, and in how many processes this goes on."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print("port", listener.getsockname()[1], flush=True)
    for _ in range(CPUS - 1):
        if os.fork() == 0:
            break
    return listener


def serve_asyncio():
    import asyncio

    class Http(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport, self.head = transport, b""

        def data_received(self, data):
            *heads, self.head = (self.head + data).split(b"\r\n\r\n")
            self.transport.write(ANSWER * len(heads))

    async def serve():
        server = await asyncio.get_running_loop().create_server(Http, sock=listener)
        await server.serve_forever()

    listener = fork_workers()
    asyncio.run(serve())


def serve_gevent():
    from gevent.pywsgi import WSGIServer

    def page(_, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
        return [BODY]

    listener = fork_workers()
    listener.setblocking(False)
    import gevent.socket
    WSGIServer(gevent.socket.socket(fileno=listener.detach()), page, log=None, error_log=None).serve_forever()


def command(server, place):
    if server in LESSONS:
        return lesson(server)
    if server in ("nginx", "nginx-1"):
        return nginx(place, CPUS if server == "nginx" else 1)
    python = with_gevent() if server == "gevent" else sys.executable
    return [python, "-W", "ignore", __file__, "serve", server, str(CPUS)]


# ------------------------------------------------------ measurements --

@contextlib.contextmanager
def running(server):
    """The first process of the server, and its port."""
    place = Path(tempfile.mkdtemp(prefix="bench-"))
    process = None
    try:
        process = subprocess.Popen(command(server, place), stdout=subprocess.PIPE, text=True,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        port = None
        while port is None:  # a line, or the end of an output without it
            line = process.stdout.readline() or sys.exit(f"{server} does not say its port")
            port = re.search(r"\bport (\d+)", line)
        time.sleep(0.3)  # until all workers are there
        yield process.pid, port[1]
    finally:
        if process is not None:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(place, ignore_errors=True)


def cpu_seconds(group):
    """Of all processes of the group, which live on."""
    ticks = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def load(port):
    """What wrk prints."""
    text = subprocess.check_output(["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s",
                                    "--latency", f"http://127.0.0.1:{port}/"], text=True)
    if re.search("Socket errors|Non-2xx", text):
        sys.exit(text)
    return text


def measure_rate(_, port):
    return float(re.search(r"Requests/sec: *([\d.]+)", load(port))[1]) / 1e3


def measure_p99(_, port):
    number, unit = re.search(r"99% *([\d.]+)(us|ms|s)", load(port)).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def measure_cpu(group, port):
    before = cpu_seconds(group)
    requests = int(re.search(r"(\d+) requests in", load(port))[1])
    return (cpu_seconds(group) - before) / requests * 1e6


MEASUREMENTS = {"rate": measure_rate, "p99": measure_p99, "cpu": measure_cpu}


def main():
    if shutil.which("wrk") is None:
        absent("wrk", "wrk")
    with running(sys.argv[2]) as (group, port):
        print("%.9g" % MEASUREMENTS[sys.argv[1]](group, port))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in [*MEASUREMENTS, "serve"] or not sys.argv[3].isdigit():
        sys.exit(f"usage: servers.py {'|'.join(MEASUREMENTS)} SERVER CPUS")
    CPUS = int(sys.argv[3])
    if CPUS > 0:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CPUS])
    CPUS = len(os.sched_getaffinity(0))
    if sys.argv[1] == "serve":
        {"asyncio": serve_asyncio, "gevent": serve_gevent}[sys.argv[2]]()
    else:
        main()
