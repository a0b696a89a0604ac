import { literalPostgres, POSTGRES_NAME } from '../../sql/identifiers.ts';
import type { DumpEntry } from './postgres-dump-file.ts';

/** A constraint that no two rows overlap: EXCLUDE, or a key WITHOUT OVERLAPS; what follows its statement is how it is kept. */
const KEY = new RegExp(
  String.raw`^ALTER TABLE ONLY ((${POSTGRES_NAME})\.${POSTGRES_NAME})\s+ADD CONSTRAINT (${POSTGRES_NAME}) ((?:EXCLUDE |.*? WITHOUT OVERLAPS\)).*?);(?=\s*$|\s*\nALTER )(.*)$`,
  's',
);
const ATTACH = new RegExp(
  String.raw`^ALTER INDEX (${POSTGRES_NAME}\.${POSTGRES_NAME}) ATTACH PARTITION (${POSTGRES_NAME}\.${POSTGRES_NAME});\s*$`,
);
const PARAMETERS = / WITH \(((?:fillfactor|buffering)=[^()]*)\)/;

interface OverlapKey {
  readonly entry: DumpEntry;
  readonly table: string;
  readonly name: string;
  /** Of its index. */
  readonly qualified: string;
  readonly definition: string;
  readonly rest: string;
}

/**
 * Indexes of constraints on overlaps cannot be attached: the server says that their definitions do not match, whatever they are. Of a
 * partitioned table such a constraint is made with those of all partitions at once, which are then given the names they had.
 */
export function wholeTreeKeys(entries: readonly DumpEntry[]): readonly DumpEntry[] {
  const keys = new Map(entries.flatMap((entry) => keyOf(entry) ?? []).map((key) => [key.qualified, key]));
  if (keys.size === 0) return entries;
  const parentOf = new Map<OverlapKey, OverlapKey>();
  const attachments = new Map<DumpEntry, OverlapKey>();
  for (const entry of entries) {
    const [, parent, part] = entry.kind === 'INDEX ATTACH' ? (ATTACH.exec(entry.definition) ?? []) : [];
    const [above, key] = [keys.get(parent ?? ''), keys.get(part ?? '')];
    if (above === undefined || key === undefined) continue;
    parentOf.set(key, above);
    attachments.set(entry, key);
  }
  const parents = new Set(parentOf.values());
  const rewritten = new Map<DumpEntry, DumpEntry>();
  for (const key of parents) if (!parentOf.has(key)) rewritten.set(key.entry, ofTree(key));
  for (const key of parentOf.keys()) rewritten.set(key.entry, named(key, rootOf(key, parentOf)));
  const replacedBy = new Map([...attachments].map(([{ id }, { entry }]) => [id, entry.id]));
  // A part comes where it was attached: there the whole is behind it.
  return entries.flatMap((entry) => {
    const part = attachments.get(entry);
    if (part === undefined && parentOf.has(keys.get(keyOf(entry)?.qualified ?? '')!)) return [];
    const kept = rewritten.get(part?.entry ?? entry) ?? entry;
    return [{ ...kept, dependsOn: kept.dependsOn.map((id) => replacedBy.get(id) ?? id) }];
  });
}

function keyOf(entry: DumpEntry): OverlapKey | undefined {
  const match = entry.kind === 'CONSTRAINT' ? KEY.exec(entry.definition) : null;
  if (match === null) return undefined;
  const [, table = '', schema, name = '', definition = '', rest = ''] = match;
  return { entry, table, name, qualified: `${schema}.${name}`, definition, rest };
}

function rootOf(key: OverlapKey, parentOf: ReadonlyMap<OverlapKey, OverlapKey>): OverlapKey {
  const parent = parentOf.get(key);
  return parent === undefined ? key : rootOf(parent, parentOf);
}

function ofTree({ entry }: OverlapKey): DumpEntry {
  return { ...entry, definition: entry.definition.replace('ALTER TABLE ONLY ', 'ALTER TABLE ') };
}

/** The server has chosen a name for the constraint of the partition, which is known only then. */
function named({ entry, table, name, qualified, definition, rest }: OverlapKey, root: OverlapKey): DumpEntry {
  const plain = name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
  const rename = `DECLARE made name;
BEGIN
  SELECT conname INTO STRICT made FROM pg_catalog.pg_constraint WHERE conrelid = ${literalPostgres(table)}::pg_catalog.regclass
    AND contype IN ('p', 'u', 'x') AND pg_catalog.pg_partition_root(conindid) = ${literalPostgres(root.qualified)}::pg_catalog.regclass;
  IF made <> ${literalPostgres(plain)} THEN
    EXECUTE pg_catalog.format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', ${literalPostgres(table)}, made, ${literalPostgres(plain)});
  END IF;
END`;
  const [own, given] = [definition, root.definition].map((text) => PARAMETERS.exec(text)?.[1]);
  const change = own === undefined ? 'RESET (fillfactor, buffering)' : `SET (${own})`;
  const set = own === given ? '' : `\nALTER INDEX ${qualified} ${change};`;
  return {
    ...entry,
    definition: `DO ${literalPostgres(rename)};${set}${rest}`,
    dependsOn: [...entry.dependsOn, root.entry.id],
  };
}
