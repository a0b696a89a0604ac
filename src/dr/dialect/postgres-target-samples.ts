import type { ManifestTable } from '../archive/manifest.ts';
import { groupTables, type TableGroup } from '../plan/table-groups.ts';

/**
 * The server samples as many rows of every table: more bytes than these take no longer. Smaller tables are sampled together up to this
 * size, so that each worker gets as much of the last work of all.
 */
const SAMPLED_BYTES = 8 << 20;
/** Tables that one transaction locks. */
const MOST_TABLES = 200;

/** Tables with rows, those together that are sampled together; `bytes` take the time. */
export function sampledTogether(tables: readonly ManifestTable[]): TableGroup[] {
  const filled = tables.filter(({ chunks }) => chunks.length > 0);
  return groupTables(filled, { tables: MOST_TABLES, bytes: SAMPLED_BYTES }, ({ bytes }) =>
    Math.min(bytes, SAMPLED_BYTES),
  );
}
