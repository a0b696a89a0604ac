import type { ManifestTable } from '../archive/manifest.ts';

/** Tables that are worked on together, and what that costs. */
export interface TableGroup {
  readonly tables: readonly ManifestTable[];
  readonly bytes: number;
}

export interface GroupLimits {
  readonly tables: number;
  readonly bytes: number;
}

/** Tables in their order, in groups within both limits; one that is beyond them is a group by itself. */
export function groupTables(
  tables: readonly ManifestTable[],
  limits: GroupLimits,
  bytesOf: (table: ManifestTable) => number,
): TableGroup[] {
  const groups: { tables: ManifestTable[]; bytes: number }[] = [];
  for (const table of tables) {
    const bytes = bytesOf(table);
    const last = groups.at(-1);
    if (last !== undefined && last.bytes + bytes <= limits.bytes && last.tables.length < limits.tables) {
      last.tables.push(table);
      last.bytes += bytes;
    } else {
      groups.push({ tables: [table], bytes });
    }
  }
  return groups;
}
