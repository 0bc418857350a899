"""The Python module's DatabaseLedger over plain sqlite3, as its documentation describes it.

Run as a program it does what each line of its input says, a JSON array of a method's name and its
arguments, and answers each with a line: {"ok": result} or {"error": class name}.
"""

import json
import sqlite3
import sys
import time


class DatabaseLedger:
    def __init__(self, db_file):
        self.conn = sqlite3.connect(db_file, timeout=30, check_same_thread=False)
        self.conn.execute("PRAGMA journal_mode=WAL")
        self.conn.execute("PRAGMA synchronous=NORMAL")
        self.conn.execute("PRAGMA cache_size=-10000")
        self.conn.execute("PRAGMA temp_store=MEMORY")
        self.conn.execute("PRAGMA foreign_keys=ON")
        self.conn.execute(
            """CREATE TABLE IF NOT EXISTS ledger (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                timestamp REAL NOT NULL,
                node_id TEXT NOT NULL,
                features TEXT NOT NULL,
                confidence REAL NOT NULL,
                created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
                UNIQUE(timestamp, node_id)
            )"""
        )
        self.conn.execute("CREATE INDEX IF NOT EXISTS idx_ledger_timestamp ON ledger(timestamp)")
        self.conn.execute("CREATE INDEX IF NOT EXISTS idx_ledger_node_id ON ledger(node_id)")
        self.conn.execute("CREATE INDEX IF NOT EXISTS idx_ledger_confidence ON ledger(confidence)")
        self.conn.commit()

    def append_entry(self, entry):
        for key in ("timestamp", "node_id", "features", "confidence"):
            if key not in entry:
                raise ValueError(f"Missing required key: {key}")
        with self.conn:
            cursor = self.conn.execute(
                "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (?, ?, ?, ?)",
                (entry["timestamp"], entry["node_id"], json.dumps(entry["features"]), entry["confidence"]),
            )
            return cursor.lastrowid

    def _entries(self, clause, parameters=()):
        rows = self.conn.execute(
            f"SELECT id, timestamp, node_id, features, confidence FROM ledger {clause}", parameters
        )
        names = ("id", "timestamp", "node_id", "features", "confidence")
        return [dict(zip(names, row), features=json.loads(row[3])) for row in rows]

    def read_ledger(self):
        return self._entries("ORDER BY id")

    def get_new_entries(self, last_seen_id):
        return self._entries("WHERE id > ? ORDER BY id", (last_seen_id,))

    def get_entry_by_id(self, entry_id):
        found = self._entries("WHERE id = ?", (entry_id,))
        return found[0] if found else None

    def get_entries_by_node(self, node_id, limit=-1):
        return self._entries("WHERE node_id = ? ORDER BY timestamp DESC LIMIT ?", (node_id, limit))

    def cleanup_old_entries(self, max_age_seconds):
        with self.conn:
            cursor = self.conn.execute("DELETE FROM ledger WHERE timestamp < ?", (time.time() - max_age_seconds,))
            return cursor.rowcount


if __name__ == "__main__":
    ledger = DatabaseLedger(sys.argv[1])
    print("{}", flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = {"ok": getattr(ledger, name)(*arguments)}
        except Exception as error:
            answer = {"error": type(error).__name__}
        print(json.dumps(answer), flush=True)
