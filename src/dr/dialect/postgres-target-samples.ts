import type { ManifestTable } from '../archive/manifest.ts';

/**
 * The server samples as many rows of every table: more bytes than these take no longer. Smaller tables are sampled together up to this
 * size, so that each worker gets as much of the last work of all.
 */
const SAMPLED_BYTES = 8 << 20;
/** Tables that one transaction locks. */
const MOST_TABLES = 200;

/** Tables sampled in one transaction, and of how many bytes that takes the time. */
export interface Sampled {
  readonly tables: readonly ManifestTable[];
  readonly bytes: number;
}

/** Tables with rows, those together that are sampled together. */
export function sampledTogether(tables: readonly ManifestTable[]): Sampled[] {
  const groups: { tables: ManifestTable[]; bytes: number }[] = [];
  for (const table of tables.filter(({ chunks }) => chunks.length > 0)) {
    const bytes = Math.min(table.bytes, SAMPLED_BYTES);
    const last = groups.at(-1);
    if (last !== undefined && last.bytes + bytes <= SAMPLED_BYTES && last.tables.length < MOST_TABLES) {
      last.tables.push(table);
      last.bytes += bytes;
    } else {
      groups.push({ tables: [table], bytes });
    }
  }
  return groups;
}
