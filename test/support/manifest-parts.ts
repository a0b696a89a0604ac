import type { ManifestTable, SchemaObject } from '../../src/dr/archive/manifest.ts';

const MB = 1 << 20;

/** A table of the backup with chunks of so many megabytes. */
export function table(id: number, name: string, megabytes: readonly number[]): ManifestTable {
  const chunks = megabytes.map((size, index) => ({
    ...{ file: `data/${id}/${index}.copy`, rows: 1, bytes: size * MB, storedBytes: size * MB },
    ...{ crc32: '', sha256: '', rowHash: null, range: null },
  }));
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  return {
    id,
    schema: 'public',
    name,
    columns: [],
    format: 'text',
    suffix: null,
    engine: null,
    rows: 1,
    bytes,
    chunks,
  };
}

/** An object of the schema; its statement is a comment. */
export function object(id: string, kind: string, fields: Partial<SchemaObject> = {}): SchemaObject {
  const section = /^(TABLE|TYPE)$/.test(kind) ? 'PRE_DATA' : 'POST_DATA';
  return {
    ...{ id, kind, schema: 'public', name: id, section, statements: [`-- ${id}`], dependsOn: [] },
    ...{ table: null, owner: null, ownedAs: null, ...fields },
  };
}

/** Names in one line; of many the ends and their number. */
export function listed(names: readonly string[]): string {
  return names.length <= 4 ? names.join(' ') : `${names[0]} to ${names.at(-1)} (${names.length})`;
}
