import { POSTGRES_NAME } from '../../sql/identifiers.ts';
import type { SchemaObject } from '../archive/manifest.ts';

const KEY = new RegExp(
  String.raw`^ALTER TABLE (?:ONLY )?(${POSTGRES_NAME}\.${POSTGRES_NAME})\s+ADD CONSTRAINT (${POSTGRES_NAME}) (PRIMARY KEY|UNIQUE) (\(${POSTGRES_NAME}(?:, ${POSTGRES_NAME})*\));\s*$`,
);

/**
 * A primary key or unique constraint in two steps: its index, which other indexes of the table are built beside, and the constraint
 * that takes the index over. Only for constraints without further clauses, where the result is the same.
 */
export function keyAsIndex(object: SchemaObject): { readonly index: string; readonly constraint: string } | undefined {
  const match = object.statements.length === 1 ? KEY.exec(object.statements[0] ?? '') : null;
  if (object.kind !== 'CONSTRAINT' || match === null) return undefined;
  const [, table, name, type, columns] = match;
  return {
    index: `CREATE UNIQUE INDEX ${name} ON ONLY ${table} USING btree ${columns};`,
    constraint: `ALTER TABLE ONLY ${table} ADD CONSTRAINT ${name} ${type} USING INDEX ${name};`,
  };
}

const FOREIGN = new RegExp(
  String.raw`^(ALTER TABLE (?:ONLY )?${POSTGRES_NAME}\.${POSTGRES_NAME})\s+ADD CONSTRAINT (${POSTGRES_NAME}) (FOREIGN KEY .*[^;\s]);\s*$`,
  's',
);

/** A foreign key in two steps: added without a look at the rows, then checked. Undefined when it shall never be checked. */
export function keyUnchecked(object: SchemaObject): { readonly add: string; readonly check: string } | undefined {
  const match = object.statements.length === 1 ? FOREIGN.exec(object.statements[0] ?? '') : null;
  if (match === null || / NOT VALID$/.test(match[3] ?? '')) return undefined;
  const [, alter, name, definition] = match;
  return {
    add: `${alter} ADD CONSTRAINT ${name} ${definition} NOT VALID;`,
    check: `${alter} VALIDATE CONSTRAINT ${name};`,
  };
}
