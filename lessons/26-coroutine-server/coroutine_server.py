"""coroutine_server.c with gevent where it is installed, or else with asyncio."""
import asyncio, os, resource, socket, sys
try: import gevent, gevent.server
except ImportError: gevent = None
def claim(held, sentence): print("    ok     " if held else "    FAILED ", sentence, flush=True); held or os._exit(1)
def count(change, served=[0, 0]): served[0] += change; served[1] = max(served); return served  # now, and at most
async def serve(reader, writer):
    count(1)
    while line := await reader.readline(): writer.write(line.upper())
    writer.close(); count(-1)
def green_serve(client, _):  # the same for gevent, which needs no await to switch
    count(1)
    while line := client.recv(1025): client.sendall(line.upper())
    client.close(); count(-1)
def be_clients(number, port, pipe):  # in a process of their own; each stays until all have had an answer
    def ask(client, line): client.sendall(line); return client.recv(99) == line.upper()
    clients = []; right = [ask(clients[-1], b"hello\n") for _ in range(number) if not clients.append(socket.create_connection(("127.0.0.1", port)))]
    os.write(pipe, b"1" if all(right + [ask(client, b"goodbye\n") for client in clients]) else b"0"); os._exit(0)
async def hold(number):
    server = gevent.server.StreamServer(("127.0.0.1", 0), green_serve) if gevent else await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    if gevent: server.start()
    (ours, pipe), port, count(0)[1] = os.pipe(), server.server_port if gevent else server.sockets[0].getsockname()[1], 0
    os.fork() or be_clients(number, port, pipe)
    right = gevent.get_hub().threadpool.apply(os.read, (ours, 1)) if gevent else await asyncio.to_thread(os.read, ours, 1)
    claim(right == b"1", f"{number} clients got the right answers"); claim(count(0)[1] == number, f"{number} were served at a time, by one thread")
async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1:] * 2)
    for number in 5, int(sys.argv[2]) if "--clients" in sys.argv else 5000: await hold(number)
    os._exit(0)  # what is left of the clients' tasks is of no use
main().send(None) if gevent else asyncio.run(main())
