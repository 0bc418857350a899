"""Processes that append to and poll one ledger, are killed at any moment and started again, while
Python's sqlite3 reads the file in one of them and in a process of its own.

    mixed_processes.py <libsimledger.so>

For SIMLEDGER_STRESS_SECONDS (5), in the current directory. What was acknowledged must be there once
and under its id, every poller sees each id once and in order, and there is no error.
"""

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time

# Which skips where there is no sqlite3.
from two_sqlites import SECONDS, Failed, Library, sqlite3

WORKERS = 3
PATH = "mixed.db"
KEYS = {"path": PATH, "commit": "log", "log_bytes": str(1 << 20)}


def say(line):
    # In one write, so that what is heard of a process that is killed is whole.
    os.write(1, (line + "\n").encode())


class Worker:
    """What a process does until its input ends, or it is killed."""

    def __init__(self, library, name, reads_too):
        self.library, self.name = library, name
        self.ledger = library.open(**KEYS)
        self.stopped = threading.Event()
        bodies = [self.append, self.append, self.poll] + [self.read] * reads_too
        threads = [threading.Thread(target=self.guard, args=(body, number)) for number, body in enumerate(bodies)]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self.stopped.set()
        for thread in threads:
            thread.join()
        library.close(self.ledger)
        say("done")

    def guard(self, body, number):
        try:
            body(number)
        except BaseException as error:  # Whatever it is, it is told.
            say(f"error {type(error).__name__}: {error}")
            os._exit(1)

    def append(self, number):
        node, count = f"{self.name}.{number}", 0
        while not self.stopped.is_set():
            count += 1
            id = ctypes.c_int64()
            self.library.call("append", self.ledger, ctypes.c_double(count), node.encode(), ctypes.c_size_t(len(node)),
                              b'{"n":[1,2,3]}', ctypes.c_size_t(13), ctypes.c_double(0.5), ctypes.byref(id))
            say(f"appended {id.value} {node} {count}")
            if count % 50 == 0:
                time.sleep(0.001)  # The reader of what is said must keep up.

    def poll(self, _):
        position = 0
        while not self.stopped.is_set():
            ids, after = self.library.poll(self.ledger, position)
            if ids != list(range(position + 1, after + 1)):
                raise Failed(f"polled {ids[:3]}... up to {after} after {position}")
            position = after

    def read(self, _):
        read_file(self.stopped)


def read_file(stopped):
    """Reads the file with the other SQLite: what it shows has no gaps."""
    last = 0
    while not stopped.is_set():
        connection = sqlite3.connect(PATH, timeout=10)
        rows, now = connection.execute("SELECT count(*), coalesce(max(id), 0) FROM ledger").fetchone()
        connection.close()
        if rows != now or now < last:
            raise Failed(f"{rows} entries up to {now}, and {last} before")
        last = now


class Run:
    """The processes, and what they say."""

    def __init__(self, library):
        self.library, self.errors, self.appended, self.lock = library, [], {}, threading.Lock()
        self.started, self.kills, self.ears = 0, 0, []

    def start(self, kind, *arguments):
        self.started += 1
        command = [sys.executable, __file__, sys.argv[1], kind, f"w{self.started}", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ear = threading.Thread(target=self.hear, args=(process,))
        ear.start()
        self.ears.append(ear)
        return process

    def hear(self, process):
        for line in process.stdout:
            if not line.endswith("\n"):
                continue
            what, *rest = line.split()
            with self.lock:
                if what == "error":
                    self.errors.append(line)
                elif what == "appended":
                    id, node, count = int(rest[0]), rest[1], int(rest[2])
                    if id in self.appended:
                        self.errors.append(f"id {id} was given twice")
                    self.appended[id] = (node, count)

    def go(self):
        self.library.close(self.library.open(**KEYS))
        reader = self.start("reader")
        workers = [self.start("worker", "1" if number == 0 else "0") for number in range(WORKERS)]
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not self.errors:
            time.sleep(random.uniform(0.1, 0.6))
            number = random.randrange(WORKERS)
            workers[number].send_signal(signal.SIGKILL)
            workers[number].wait()
            self.kills += 1
            workers[number] = self.start("worker", "1" if number == 0 else "0")
        for process in [*workers, reader]:
            process.stdin.close()
        for process in [*workers, reader]:
            if process.wait() != 0:
                self.errors.append("a process failed")
        for ear in self.ears:
            ear.join()

    def judge(self):
        ledger = self.library.open(**KEYS)
        ids, last = self.library.poll(ledger, 0)
        findings = self.library.findings(ledger)
        self.library.close(ledger)
        connection = sqlite3.connect(PATH)
        found = {id: (node, int(count)) for id, node, count in connection.execute("SELECT id, node_id, timestamp FROM ledger")}
        integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
        lost = sum(found.get(id) != entry for id, entry in self.appended.items())
        print(f"{len(self.appended)} acknowledged, {lost} lost, {self.kills} kills, {len(found)} in the file,",
              f"integrity {integrity!r}, {findings} findings, errors {self.errors[:3]}", flush=True)
        whole = ids == list(range(1, last + 1)) and len(found) == last and not os.path.exists(PATH + "-log")
        return whole and not lost and not self.errors and integrity == "ok" and findings == 0 and self.kills > 0


if __name__ == "__main__":
    library = Library(sys.argv[1])
    if sys.argv[2:3] == ["worker"]:
        Worker(library, sys.argv[3], int(sys.argv[4]))
        sys.exit()
    if sys.argv[2:3] == ["reader"]:
        stopped = threading.Event()
        thread = threading.Thread(target=read_file, args=(stopped,))
        thread.start()
        sys.stdin.read()
        stopped.set()
        thread.join()
        sys.exit()
    run = Run(library)
    run.go()
    sys.exit(0 if run.judge() else 1)
