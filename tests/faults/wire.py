"""Whatever bytes come in: the servers' sockets, and the parsers.

What libFuzzer finds in a parser stays in tests/fuzz/NAME, from where
it is tried again each time.
"""
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

from attack import ROOT, Row, Run, kill, lessons, scratch, share_of, side_by_side

MESSAGES = share_of(100_000)  # to each server
FUZZ_SECONDS = share_of(30)   # for each parser
PATIENCE = 10  # seconds that a server may take for anything
BATCH = 25     # connections at a time

HTTP = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HEAD / HTTP/1.0\nConnection: keep-alive\n\n",
        b"GET /none?q=1 HTTP/1.1\r\nHost: localhost:80\r\nConnection: close\r\nAccept: */*\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"]
LINES = [b"hello\n", b"are you there?\r\n", b"x" * 1024 + b"\n", b"\n\n\nthree\n"]
DICT = [b"set colour red\n", b"get colour\n", b"delete colour\n", b"add n 1\n", b"set n 9223372036854775807\n",
        b"keys\n", b"values\n", b"length\n"]
SERVE = ["--serve", "--patience", "400"]
# Lesson, options, what it understands, and how many messages on one
# connection: after a bad request a web server reads no other.
SERVERS = [("05", ["--clients", "200"], DICT, 8),
           ("22", SERVE, [*LINES, *HTTP], 8),
           ("23", SERVE, HTTP, 1),
           ("26", SERVE, [*LINES, *HTTP], 8),
           ("26", [*SERVE, "--http"], HTTP, 1)]


# ---------------------------------------------------------- messages --

def mutate(message, luck):
    """Some bytes changed, left out, doubled, or put in."""
    for _ in range(luck.randint(1, 4)):
        at = luck.randint(0, len(message))
        end = min(len(message), at + luck.randint(0, 8))
        message = message[:at] + luck.choice([
            b"", luck.randbytes(luck.randint(0, 8)), message[at:end] * luck.randint(2, 200),
            b"\n", b"\r\n\r\n", b"\0", b" ", message[:at]]) + message[end:]
    return message


def message(requests, luck):
    kind = luck.random()
    if kind < 0.4:
        return luck.randbytes(luck.randint(1, 300)) + luck.choice([b"", b"\n", b"\r\n\r\n"])
    if kind < 0.41:
        return luck.choice([b"x", b"\n", b"\0", requests[0]]) * luck.randint(1, 20000)
    return mutate(luck.choice(requests), luck) if kind < 0.95 else luck.choice(requests)


# ----------------------------------------------------------- servers --

class Server:
    """A lesson that is kept up, and how one gets there."""

    def __init__(self, lesson, options):
        self.family = socket.AF_INET if "--serve" in options else socket.AF_UNIX
        self.run = Run(lesson, *options)
        try:
            self.find()
            self.normal = self.answer()
            self.before = self.settled()
        except Exception:
            self.end()
            raise

    def find(self):
        found = self.wait_for(r"server \(pid (\d+)\) listens|port (\d+)")
        if self.family == socket.AF_INET:
            self.address = "127.0.0.1", int(found[2])
            return
        # The server goes on while the lesson itself stands still.
        kill(self.run.process.pid, signal.SIGSTOP)
        sockets = {os.stat(f"/proc/{found[1]}/fd/{name}").st_ino for name in os.listdir(f"/proc/{found[1]}/fd")}
        with open("/proc/net/unix") as file:
            names = [fields[7] for fields in map(str.split, file)
                     if len(fields) > 7 and fields[7][0] == "@" and int(fields[6]) in sockets]
        self.address = "\0" + names[0][1:]

    def wait_for(self, pattern):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := re.search(pattern, (self.run.place / "stdout").read_text()):
                return found
            time.sleep(0.001)
        raise TimeoutError(f"lesson {self.run.lesson} does not begin to serve")

    def connect(self):
        connection = socket.socket(self.family)
        connection.settimeout(PATIENCE)
        connection.connect(self.address)
        return connection

    def answer(self):
        """The first line that it says to a good client."""
        with self.connect() as client:
            client.sendall(b"get nobody\n" if self.family == socket.AF_UNIX else HTTP[0])
            return client.recv(1000).splitlines()[0]

    def possessions(self):
        """All that may not grow: processes, their threads, descriptors."""
        found = {}
        for pid in self.run.processes():
            with contextlib.suppress(OSError):
                found[pid] = tuple(len(os.listdir(f"/proc/{pid}/{what}")) for what in ("task", "fd"))
        return found

    def settled(self, wanted=None):
        """What it has when that changes no more, or is as wanted."""
        end = time.monotonic() + PATIENCE
        before, now = None, self.possessions()
        while time.monotonic() < end and now != (wanted or before):
            time.sleep(0.3)
            before, now = now, self.possessions()
        return now

    def end(self):
        kill(self.run.process.pid, signal.SIGKILL if self.family == socket.AF_UNIX else signal.SIGTERM)
        return self.run.finish()


def leave(client, luck):
    """In one of the ways in which clients do."""
    with contextlib.suppress(OSError):
        if luck.random() < 0.5:
            client.shutdown(socket.SHUT_WR)
            client.settimeout(0.2)  # it may wait for more
            client.recv(1 << 16)
        # No port of this side is kept for what may still come.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def attack_server(row, lesson, options, requests, at_once):
    seed, story, sent = random.randrange(1 << 32), [], 0
    luck = random.Random(seed)
    server = Server(lesson, options)
    try:
        while sent < MESSAGES:
            clients = [server.connect() for _ in range(BATCH)]
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    for _ in range(at_once):
                        client.sendall(message(requests, luck))
                        sent += 1
            for client in clients:
                leave(client, luck)
        answer = server.answer()
        if answer != server.normal:
            story.append(f"answers {answer} instead of {server.normal}")
        now = server.settled(server.before)
        if now != server.before:
            story.append(f"processes (threads, descriptors) were {server.before}, now {now}")
    except OSError as error:
        story.append(f"after {sent} messages: {error!r}")
    row.judge(server.end(), not story, f"seed {seed}: {story}")
    row.tried += sent - 1


# ------------------------------------------------------------ parsers --

def fuzz(row, name):
    if shutil.which("clang") is None:
        row.count(False, "needs clang: apt-get install clang libclang-rt-dev")
        return
    program, found = scratch / f"fuzz-{name}", scratch / f"found-{name}"
    found.mkdir()
    built = subprocess.run(
        ["clang", "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-iquote", ROOT / "common",
         "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", "-o", program,
         ROOT / f"tests/fuzz/{name}.c", ROOT / "common/check.c"], capture_output=True, text=True)
    if built.returncode != 0:
        row.count(False, f"tests/fuzz/{name}.c is not built: {built.stderr[-600:]}")
        return
    corpus = ROOT / "tests/fuzz" / name
    run = subprocess.run(
        [program, f"-max_total_time={FUZZ_SECONDS}", f"-dict={ROOT}/tests/fuzz/{name}.dict",
         "-max_len=9000", "-timeout=10", f"-artifact_prefix={corpus}/", "-print_final_stats=1", found, corpus],
        capture_output=True, text=True, timeout=FUZZ_SECONDS + 120)
    row.count(run.returncode == 0, f"{name}: {run.stderr[-2000:]}")
    tried = re.search(r"number_of_executed_units: (\d+)", run.stderr)
    row.tried += int(tried[1]) - 1 if tried else 0


def attack():
    servers = [server for server in SERVERS if server[0] in lessons()]
    rows = [Row(f"messages of any bytes to the server of lesson {server[0]}") for server in servers]
    parsers = [path.stem for path in sorted(ROOT.glob("tests/fuzz/*.c"))]
    fuzzed = [Row(f"inputs of a fuzzer to the parser {name}.h") for name in parsers]
    side_by_side([*((attack_server, row, *server) for row, server in zip(rows, servers)),
                  *((fuzz, row, name) for row, name in zip(fuzzed, parsers))])
    return rows + fuzzed
