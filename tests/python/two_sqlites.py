"""One process with several copies of SQLite on one ledger: ours, inside the library, and Python's sqlite3; and
the library itself twice, as two plug-ins of a host may bring it.

    two_sqlites.py <libsimledger.so>

Threads append, poll and reopen the ledger through the library; other threads of the same process open
the file with sqlite3, write a table of their own, read the entries, vacuum and close it, all the time; and
one more process appends too. With commit = sqlite in WAL mode and in DELETE mode, and with commit = log, for
SIMLEDGER_STRESS_SECONDS each (4), in the current directory. What was acknowledged must be there, the file
sound, and no error but BUSY. (`tests/sqlites/host.c` does more of this, and faster.)
"""

import collections
import ctypes
import json
import os
import shutil
import subprocess
import sys
import threading
import time

try:
    import sqlite3
except ImportError:
    print("skipped: this python3 has no sqlite3 module")
    sys.exit(77)

SECONDS = float(os.environ.get("SIMLEDGER_STRESS_SECONDS", "4"))
OPERATIONS_A_HANDLE = 20
NUL_TERMINATED = NO_LIMIT = ctypes.c_size_t(-1)
BUSY = 8


class Failed(Exception):
    pass


class Library:
    """The calls of the library that are needed, as methods that raise."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        for name in ("config_new", "entries_get", "status_name", "error_message"):
            getattr(self.library, "simledger_" + name).restype = ctypes.c_void_p
        for name in ("entry_id", "entries_position"):
            getattr(self.library, "simledger_" + name).restype = ctypes.c_int64
        self.library.simledger_entries_len.restype = ctypes.c_size_t

    def call(self, name, *arguments):
        error = ctypes.c_void_p()
        status = getattr(self.library, "simledger_" + name)(*arguments, ctypes.byref(error))
        if status != 0:
            message = ctypes.string_at(self.library.simledger_error_message(error)).decode()
            self.library.simledger_error_free(error)
            raise (TimeoutError if status == BUSY else Failed)(f"{name}: {message}")

    def open(self, **keys):
        config = ctypes.c_void_p(self.library.simledger_config_new())
        for key, value in keys.items():
            self.call("config_set", config, key.encode(), NUL_TERMINATED, value.encode(), NUL_TERMINATED)
        ledger = ctypes.c_void_p()
        try:
            self.call("open", config, ctypes.byref(ledger))
        finally:
            self.library.simledger_config_free(config)
        return ledger

    def close(self, ledger):
        self.call("close", ledger)

    def append(self, ledger, timestamp, node):
        self.call("append", ledger, ctypes.c_double(timestamp), node.encode(), NUL_TERMINATED, b"[1]", NUL_TERMINATED,
                  ctypes.c_double(0.5), None)

    def poll(self, ledger, position):
        """The ids after a position, and the position after them."""
        entries = ctypes.c_void_p()
        self.call("poll_since", ledger, ctypes.c_int64(position), NO_LIMIT, ctypes.byref(entries))
        ids = []
        for i in range(self.library.simledger_entries_len(entries)):
            entry = ctypes.c_void_p(self.library.simledger_entries_get(entries, ctypes.c_size_t(i)))
            ids.append(self.library.simledger_entry_id(entry))
        position = self.library.simledger_entries_position(entries)
        self.library.simledger_entries_free(entries)
        return ids, position

    def findings(self, ledger):
        count = ctypes.c_size_t()
        self.call("integrity_check", ledger, ctypes.c_size_t(10), None, None, None, ctypes.byref(count))
        return count.value


class Run:
    """Everything that happens on one file."""

    def __init__(self, library, another, commit, journal_mode):
        self.library, self.another, self.commit, self.journal_mode = library, another, commit, journal_mode
        self.path = f"{commit}-{journal_mode.lower()}.db"
        self.stopped = threading.Event()
        self.counts, self.errors, self.lock = collections.Counter(), collections.Counter(), threading.Lock()
        self.acknowledged = set()

    def open(self, library):
        keys = {"journal_mode": self.journal_mode, "synchronous_mode": "OFF", "commit": self.commit}
        return library.open(path=self.path, **keys)

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def attempt(self, work, *arguments):
        """The result of `work`; None where it found the file busy, or failed."""
        try:
            return work(*arguments)
        except TimeoutError:
            self.count("busy")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                self.count("busy")
            else:
                self.errors[f"sqlite3: {error}"] += 1
        except (Failed, sqlite3.Error, AssertionError) as error:
            self.errors[f"{type(error).__name__}: {error}"] += 1
        return None

    def append_on(self, library, node):
        """Appends, and closes and opens its handle every now and then."""
        number = 0
        while not self.stopped.is_set():
            ledger = self.attempt(self.open, library)
            if ledger is None:
                continue
            for _ in range(OPERATIONS_A_HANDLE):
                number += 1
                # True, and not None as the call gives.
                if self.attempt(lambda: library.append(ledger, number, node) is None):
                    self.acknowledged.add((node, number))
            self.attempt(library.close, ledger)
            self.count("opens")
            time.sleep(0.005)  # Now and then nobody here has the file open.

    def poll_on(self, library):
        position = 0
        while not self.stopped.is_set():
            ledger = self.attempt(self.open, library)
            if ledger is None:
                continue
            for _ in range(OPERATIONS_A_HANDLE):
                polled = self.attempt(library.poll, ledger, position)
                if polled is not None:
                    ids, after = polled
                    if ids != list(range(position + 1, after + 1)):
                        self.errors[f"polled {ids[:3]}... after {position}"] += 1
                    position = after
                    self.count("polls")
            self.attempt(library.close, ledger)
            time.sleep(0.005)

    def use_sqlite3(self, number):
        """Opens, writes, reads and closes the file with the other SQLite."""

        def visit(value):
            connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            try:
                written = self.attempt(connection.execute, "INSERT INTO host VALUES (?, ?)", (number, value))
                if written is not None:
                    self.acknowledged.add((number, value))
                rows, last = connection.execute("SELECT count(*), coalesce(max(id), 0) FROM ledger").fetchone()
                if rows != last:
                    self.errors[f"{rows} entries up to {last}"] += 1
                if value % 20 == 0:
                    connection.execute("BEGIN IMMEDIATE")
                    time.sleep(0.001)
                    connection.execute("ROLLBACK")
                if value % 50 == 0:
                    connection.execute("VACUUM")
            finally:
                connection.close()
            return True

        value = 0
        while not self.stopped.is_set():
            value += 1
            self.attempt(visit, value)
            self.count("visits")

    def go(self):
        self.library.close(self.open(self.library))
        connection = sqlite3.connect(self.path)
        connection.execute("CREATE TABLE host (thread INTEGER, value INTEGER)")
        connection.close()
        arguments = [sys.executable, __file__, sys.argv[1], self.commit, self.journal_mode]
        other = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        bodies = [(self.append_on, self.library, "a"), (self.append_on, self.another, "b"), (self.poll_on, self.library),
                  (self.poll_on, self.another), (self.use_sqlite3, 1), (self.use_sqlite3, 2)]
        threads = [threading.Thread(target=body, args=arguments) for body, *arguments in bodies]
        for thread in threads:
            thread.start()
        time.sleep(SECONDS)
        self.stopped.set()
        for thread in threads:
            thread.join()
        told = json.loads(other.communicate()[0])
        self.acknowledged.update(map(tuple, told["acknowledged"]))
        self.errors.update(told["errors"])
        self.counts.update(told["counts"])

    def judge(self):
        """Whether all is as it should be; prints the figures."""
        found, integrity, findings = set(), "", None
        try:
            connection = sqlite3.connect(self.path)
            integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
            found.update(connection.execute("SELECT node_id, CAST(timestamp AS INTEGER) FROM ledger"))
            found.update(connection.execute("SELECT thread, value FROM host"))
            connection.close()
            ledger = self.open(self.library)
            findings = self.library.findings(ledger)
            self.library.close(ledger)
        except (Failed, TimeoutError, sqlite3.Error) as error:
            integrity = integrity + str(error)
        lost = len(self.acknowledged - found)
        print(f"commit = {self.commit}, {self.journal_mode}: {len(self.acknowledged)} acknowledged, {lost} lost, integrity {integrity[:60]!r},",
              f"{findings} findings, {sum(self.errors.values())} errors,", dict(self.counts), flush=True)
        for error, times in self.errors.most_common(5):
            print(f"  {times} times {error[:150]}", flush=True)
        did = all(self.counts[what] for what in ("polls", "visits", "opens")) and self.acknowledged
        return did and not lost and not self.errors and integrity == "ok" and findings == 0


def append_in_another_process(library, commit, journal_mode):
    """Until its input ends."""
    run = Run(library, library, commit, journal_mode)
    thread = threading.Thread(target=run.append_on, args=(library, "other"))
    thread.start()
    sys.stdin.read()
    run.stopped.set()
    thread.join()
    print(json.dumps({"acknowledged": list(run.acknowledged), "errors": run.errors, "counts": run.counts}))


if __name__ == "__main__":
    sys.setswitchinterval(0.0001)  # As many turns of the threads as can be had.
    library = Library(sys.argv[1])
    if len(sys.argv) > 2:
        append_in_another_process(library, *sys.argv[2:])
        sys.exit()
    shutil.copy(sys.argv[1], "another.so")
    another = Library("./another.so")
    good = True
    for commit, journal_mode in (("sqlite", "WAL"), ("sqlite", "DELETE"), ("log", "WAL")):
        run = Run(library, another, commit, journal_mode)
        run.go()
        good = run.judge() and good
    sys.exit(0 if good else 1)
