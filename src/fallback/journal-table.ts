import type { Transaction } from '../sqlite/database.ts';
import { checksumOf, entryOf, type JournalEntry, type JournalReason, type JournalRow } from './journal-entry.ts';

export const JOURNAL_SCHEMA = `CREATE TABLE IF NOT EXISTS entries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, digest TEXT NOT NULL,
  collection TEXT NOT NULL, id TEXT NOT NULL, method TEXT NOT NULL, argument TEXT, baseVersion INTEGER, after INTEGER,
  strict INTEGER NOT NULL, base TEXT, image TEXT, principal TEXT NOT NULL, epoch INTEGER NOT NULL, sdlHash TEXT NOT NULL,
  at INTEGER NOT NULL, crc INTEGER NOT NULL, state TEXT NOT NULL, approved INTEGER NOT NULL DEFAULT 0, version INTEGER,
  reason TEXT, endedAt INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS entries_by_state ON entries (state, seq);
CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, digest TEXT NOT NULL, answer TEXT NOT NULL, at INTEGER NOT NULL) STRICT`;
const INSERT = `INSERT INTO entries (seq, key, digest, collection, id, method, argument, baseVersion, after, strict, base, image,
  principal, epoch, sdlHash, at, crc, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'WAITING')`;
export const INSERT_CALL = 'INSERT INTO calls (key, digest, answer, at) VALUES (?, ?, ?, ?)';
export const OPEN_STATES = "('WAITING', 'CONFLICT', 'HELD')";
export const COUNT = `SELECT state, count(*) AS n, min(at) AS oldest,
  sum(300 + length(id) + coalesce(length(argument), 0) + coalesce(length(base), 0) + coalesce(length(image), 0)) AS bytes
  FROM entries WHERE state IN ${OPEN_STATES} GROUP BY state`;
export const LIST = 'SELECT * FROM entries WHERE seq > ? AND (? IS NULL OR state = ?) ORDER BY seq LIMIT +?';

/** Inserts a waiting entry. @throws Error when the one it was made on is not there */
export function insertEntry(transaction: Transaction, entry: JournalEntry): void {
  const { seq, key, digest, collection, id, method, argument, baseVersion, after, strict, base, image } = entry;
  const { principal, epoch, sdlHash, at } = entry;
  // What it was made on may have failed just before, and must not be left out.
  if (after !== null && transaction.prepare('SELECT 1 FROM entries WHERE seq = ?').get(after) === undefined) {
    throw new Error(`the entry ${after} before it was not written`);
  }
  const fields = [seq, key, digest, collection, id, method, argument, baseVersion, after, Number(strict), base, image];
  transaction.prepare(INSERT).run(...fields, principal, epoch, sdlHash, at, checksumOf(seq, entry));
}

/** A row as an entry, whatever its checksum says. */
export function readable(row: JournalRow): JournalEntry {
  const entry = entryOf(row);
  if (entry !== null) return entry;
  const { crc, strict, approved, reason, ...fields } = row;
  const damage: JournalReason = { code: 'DAMAGED', message: 'its checksum differs' };
  return { ...fields, strict: strict === 1, approved: false, reason: damage };
}
