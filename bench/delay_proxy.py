#!/usr/bin/env python3
"""A TCP proxy on 127.0.0.1 that makes a local registry far away, slow, or both.

    delay_proxy.py --to HOST:PORT [--delay-ms D] [--rate BYTES_PER_S]

Every byte arrives D ms after it was sent, each way. A new connection costs a round trip too: the
kernel's own handshake with us is instant, so what the client says first leaves 2 D later. --rate
holds each connection's answers to that many bytes a second; connections do not share it.

Prints "listening on 127.0.0.1:PORT". A line on standard input is answered with "BYTES CONNECTIONS",
the bytes sent to clients and the connections taken since the last such line; at its end the proxy ends.
"""
import argparse
import asyncio
import socket
import sys
import threading

PIECE = 1 << 16
IN_FLIGHT = 256     # pieces under way in one direction of a connection: 16 MiB


class Proxy:
    def __init__(self, host, port, delay_s, rate):
        self.host, self.port, self.delay_s, self.rate = host, port, delay_s, rate
        self.bytes_sent = self.connections = 0

    def take_counts(self):
        counts = self.bytes_sent, self.connections
        self.bytes_sent = self.connections = 0
        return counts

    async def serve_client(self, client_reader, client_writer):
        self.connections += 1
        opened = asyncio.get_running_loop().time() + 2 * self.delay_s
        client_writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            server_reader, server_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            client_writer.transport.abort()
            return
        try:
            await asyncio.gather(
                self._carry(client_reader, server_writer, opened, None),
                self._carry(server_reader, client_writer, 0, self.rate, count=True))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            client_writer.transport.abort()
            server_writer.transport.abort()

    async def _carry(self, reader, writer, not_before, rate, count=False):
        """One direction: pieces wait in a queue until they are due."""
        queue = asyncio.Queue(IN_FLIGHT)
        loop = asyncio.get_running_loop()

        async def deliver():
            free_at = 0.0
            while True:
                due, piece = await queue.get()
                if rate:
                    due = free_at = max(free_at, due) + len(piece) / rate
                wait = due - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
                if count:
                    self.bytes_sent += len(piece)
            if writer.can_write_eof():
                writer.write_eof()

        sender = asyncio.create_task(deliver())
        try:
            while True:
                piece = await reader.read(PIECE)
                due = max(loop.time(), not_before) + self.delay_s
                put = asyncio.create_task(queue.put((due, piece)))
                await asyncio.wait({put, sender}, return_when=asyncio.FIRST_COMPLETED)
                if sender.done() or not piece:
                    put.cancel() if sender.done() else await put
                    break
            await sender
        finally:
            sender.cancel()


def answer_questions(proxy, loop):
    """In a thread: standard input is read a line at a time."""
    for _ in sys.stdin:
        counts = asyncio.run_coroutine_threadsafe(as_coroutine(proxy.take_counts), loop).result()
        print(*counts, flush=True)
    loop.call_soon_threadsafe(loop.stop)


async def as_coroutine(function):
    return function()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--rate", type=float, default=0, help="bytes per second and connection")
    args = parser.parse_args()
    host, _, port = args.to.rpartition(":")
    proxy = Proxy(host, int(port), args.delay_ms / 1000, args.rate)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server = loop.run_until_complete(asyncio.start_server(proxy.serve_client, "127.0.0.1", 0))
    print("listening on 127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    threading.Thread(target=answer_questions, args=(proxy, loop), daemon=True).start()
    loop.run_forever()


if __name__ == "__main__":
    main()
