"""socket_server.c with socketserver: TCPServer, then ThreadingTCPServer."""
import os, socket, socketserver, threading, time

UNIT, COUNT = float(os.environ.get("LESSON_UNIT", "0.2")), 5  # 1 u in seconds

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or os._exit(1)

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in iter(lambda: self.rfile.readline(1025), b""):
            self.wfile.write(line.upper())

def client(number, connection, answers, everybody):
    connection.sendall(b"hello\n"); right = connection.recv(100) == b"HELLO\n"
    answered = time.monotonic(); everybody and everybody.wait(); time.sleep(UNIT)
    answers[number] = right, answered, time.monotonic(); connection.close()

for kind, everybody in (socketserver.TCPServer, None), (socketserver.ThreadingTCPServer, threading.Barrier(COUNT)):
    server, answers, begin = kind(("127.0.0.1", 0), Handler), [None] * COUNT, time.monotonic()
    connections = [socket.create_connection(server.server_address) for _ in range(COUNT)]
    crowd = [threading.Thread(target=client, args=(n, c, answers, everybody)) for n, c in enumerate(connections)]
    for thread in [threading.Thread(target=server.serve_forever, daemon=True), *crowd]: thread.start()
    for thread in crowd: thread.join()
    server.shutdown(); server.server_close(); right, answered, left = zip(*answers)
    claim(all(right), "5 clients got the right answers")
    everybody and claim(max(answered) < min(left), "each had an answer before any of them left")
    everybody or claim(all(map(float.__le__, left, answered[1:])), "no client had an answer before the one before it left")
    everybody or claim(answered[1] - begin >= UNIT, "the second client waited at least 1 u")
