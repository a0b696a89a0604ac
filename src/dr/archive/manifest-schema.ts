import { z } from 'zod';
import { isFileName } from './file-name.ts';
import { Dialect, MANIFEST_FILE, type Manifest, Section } from './manifest.ts';

const count = z.int().nonnegative();
const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`), `${digits} hexadecimal digits`);
const strings = z.array(z.string());

const CHUNK = z.strictObject({
  file: z
    .string()
    .refine((name) => isFileName(name) && name.includes('/') && name !== MANIFEST_FILE, 'a file below the archive'),
  rows: count,
  bytes: count,
  storedBytes: count,
  crc32: hex(8),
  sha256: hex(64),
  rowHash: hex(16).nullable(),
  range: z.string().nullable(),
});

const TABLE = z.strictObject({
  id: count,
  schema: z.string(),
  name: z.string(),
  columns: z.array(
    z.strictObject({
      name: z.string(),
      type: z.string(),
      generated: z.boolean(),
      transform: z.string().nullable(),
      masked: z.string().nullable(),
    }),
  ),
  format: z.enum(['text', 'binary', 'packets']),
  suffix: z.string().nullable(),
  engine: z.string().nullable(),
  scattered: z.literal(true).optional(),
  rows: count,
  bytes: count,
  chunks: z.array(CHUNK),
});

const GRAPH = z.strictObject({
  keys: z.array(
    z.strictObject({
      name: z.string(),
      child: count,
      parent: count,
      childColumns: strings,
      parentColumns: strings,
      deferrable: z.boolean(),
      validated: z.boolean(),
      match: z.enum(['SIMPLE', 'FULL']),
    }),
  ),
  inDegree: z.record(z.string(), count),
  order: z.array(count),
  cycles: z.array(z.array(count)),
});

const OBJECT = z.strictObject({
  id: z.string(),
  kind: z.string(),
  schema: z.string().nullable(),
  name: z.string(),
  section: z.enum(Section),
  statements: strings,
  dependsOn: strings,
  table: count.nullable(),
  owner: z.string().nullable(),
  ownedAs: z.string().nullable(),
});

/** The shape of `metadata.json`, field by field; nothing may stand in it that is not listed. */
export const MANIFEST_SCHEMA: z.ZodType<Manifest> = z
  .strictObject({
    version: count,
    id: hex(32),
    tool: z.string(),
    startedAt: z.iso.datetime(),
    endedAt: z.iso.datetime(),
    dialect: z.enum(Dialect),
    server: z.strictObject({ version: z.string(), identity: z.string(), database: z.string(), encoding: z.string() }),
    position: z.record(z.string(), z.string()),
    consistency: z.strictObject({ grade: z.enum(['A', 'B', 'C']), notes: strings }),
    suffixes: z.record(z.string(), z.string()),
    closure: z.boolean(),
    chosen: strings.optional(),
    compression: z.enum(['none', 'zstd']),
    encryption: z.strictObject({ algorithm: z.literal('aes-256-gcm'), keyId: hex(16) }).nullable(),
    graph: GRAPH,
    tables: z.array(TABLE),
    objects: z.array(OBJECT),
    sequences: z.array(
      z.strictObject({
        schema: z.string(),
        name: z.string(),
        lastValue: z.string().regex(/^-?\d+$/),
        isCalled: z.boolean(),
        round: z.string().regex(/^\d+$/).optional(),
      }),
    ),
    unsupported: strings,
    digest: hex(64),
    mac: hex(64).nullable(),
  })
  .superRefine((manifest, context) => {
    for (const message of contradictions(manifest)) context.addIssue({ code: 'custom', message });
  });

/** What each field for itself cannot show: sums, names that occur twice, references to nothing. */
function* contradictions({ tables, objects, graph, encryption, mac }: Manifest): Generator<string> {
  const ids = new Set(tables.map(({ id }) => id));
  if (ids.size < tables.length) yield 'two tables have one id';
  const files = tables.flatMap(({ chunks }) => chunks.map(({ file }) => file));
  if (new Set(files).size < files.length) yield 'two chunks name one file';
  for (const { name, rows, bytes, chunks } of tables) {
    const total = (of: 'rows' | 'bytes'): number => chunks.reduce((sum, chunk) => sum + chunk[of], 0);
    if (total('rows') !== rows || total('bytes') !== bytes) yield `table ${name} is not the sum of its chunks`;
  }
  const objectIds = new Set(objects.map(({ id }) => id));
  if (objectIds.size < objects.length) yield 'two objects have one id';
  for (const { id, dependsOn, table } of objects) {
    if (!dependsOn.every((other) => objectIds.has(other))) yield `object ${id} depends on one that is not there`;
    if (table !== null && !ids.has(table)) yield `object ${id} belongs to a table that is not there`;
  }
  const mentioned = [
    ...graph.order,
    ...graph.cycles.flat(),
    ...graph.keys.flatMap(({ child, parent }) => [child, parent]),
  ];
  if (!mentioned.every((id) => ids.has(id))) yield 'the graph names a table that is not there';
  if ((encryption === null) !== (mac === null)) yield 'encryption and mac do not agree';
}
