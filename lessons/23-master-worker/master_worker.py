"""master_worker.c with http.server: forked workers, which share one socket."""
import http.client, http.server, multiprocessing, multiprocessing.pool, socket, sys, time
mp, WORKERS, CLIENTS, REQUESTS = multiprocessing.get_context("fork"), 2, 8, 50
listener, gate = socket.create_server(("127.0.0.1", 0), backlog=100), mp.RawValue("b")

def claim(held, sentence):
    print("    ok     " if held else "    FAILED ", sentence)
    held or sys.exit(1)  # and its workers, which are daemons, end as well

class Page(http.server.SimpleHTTPRequestHandler):
    protocol_version, log_message = "HTTP/1.1", lambda *_: None
    def do_GET(self):
        while self.path == "/slow" and not gate.value: time.sleep(0.001)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n%9d" % mp.current_process().pid)
def work():
    server = http.server.ThreadingHTTPServer(("", 0), Page, bind_and_activate=False)
    server.socket.close(); server.socket = listener; server.serve_forever()
def get(client, path="/"):  # returns who answered, or 0
    try: client.request("GET", path); return int(client.getresponse().read())
    except (OSError, http.client.HTTPException): return 0

clients = [http.client.HTTPConnection(*listener.getsockname()) for _ in range(CLIENTS)]
workers = [mp.Process(target=work, daemon=True) for _ in range(WORKERS + 1)]; workers[0].start(); workers[1].start()
crowd = multiprocessing.pool.ThreadPool(CLIENTS); first = crowd.map(get, clients, 1)
answers = crowd.map(lambda client: [get(client) for _ in range(REQUESTS - 1)], clients, 1)
claim(all(first) and all(map(all, answers)), "8 clients got 400 answers")
slow = crowd.starmap_async(get, [(client, "/slow") for client in clients], 1); time.sleep(0.01)
workers[0].kill(); workers[0].join(); workers[2].start(); gate.value = True
claim(all((got == 0) == (pid == workers[0].pid) for got, pid in zip(slow.get(), first)), "those of the dead one are lost, and no other")
claim([worker.is_alive() for worker in workers] == [False, True, True], "a new worker took its place")
