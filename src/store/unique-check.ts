import { HoldfastError } from '../errors.ts';
import type { DocumentText } from '../model/document.ts';
import type { Reader } from './slices.ts';
import { type IndexTable, isExempt, type Table } from './sqlite-table.ts';

/** Values listed when documents are not unique. */
const MAX_LISTED = 100;

/** Documents that have one value of a unique index, though only one may. */
interface Violation {
  readonly collection: string;
  readonly index: string;
  readonly fields: readonly string[];
  /** Document texts of their ids, at least two. */
  readonly ids: DocumentText[];
}

/**
 * Checks that the unique indexes of a copy, which were kept up without being enforced, hold: from then on they may be.
 * @throws ALREADY_EXISTS (`violations`: collection, index, fields and ids, of the first 100 values)
 */
export function requireUniqueIndexes(reader: Reader, tables: Iterable<Table>): void {
  const violations: Violation[] = [];
  for (const table of tables) {
    for (const index of table.indexes) if (index.unique) collect(reader, table, index, violations);
  }
  const [first] = violations;
  if (first === undefined) return;
  const places = [...new Set(violations.map(({ collection, fields }) => `${collection}.${fields.join('+')}`))];
  throw new HoldfastError(
    'ALREADY_EXISTS',
    `documents that must be unique are not: ${places.join(', ')}; e.g. ${first.ids.join(' and ')} of "${first.collection}" have the same ${first.fields.join(', ')}`,
    { details: { violations } },
  );
}

interface Entry {
  readonly entry: Uint8Array;
  readonly key: Uint8Array;
  readonly id: DocumentText;
}

/** Entries with one value lie side by side: an entry is the keys of its values, then that of its document. */
function collect(reader: Reader, table: Table, index: IndexTable, violations: Violation[]): void {
  const sql = `SELECT i.key AS entry, d.key AS key, d.id AS id FROM ${index.sql.table} AS i CROSS JOIN ${table.sql.table} AS d ON d.row = i.row ORDER BY i.key`;
  let last: { readonly value: Buffer; readonly id: DocumentText; violation?: Violation } | undefined;
  for (const { entry, key, id } of reader.prepare(sql).iterate() as Iterable<unknown> as Iterable<Entry>) {
    const value = Buffer.from(entry.buffer, entry.byteOffset, entry.length - key.length);
    if (last === undefined || !last.value.equals(value) || isExempt(index, value)) {
      last = { value, id };
    } else if (last.violation !== undefined) {
      last.violation.ids.push(id);
    } else if (violations.length < MAX_LISTED) {
      last.violation = { collection: table.name, index: index.name, fields: index.paths, ids: [last.id, id] };
      violations.push(last.violation);
    }
  }
}
