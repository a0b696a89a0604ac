import { HoldfastError } from '../../errors.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { DumpEntry } from './postgres-dump-file.ts';
import { type ExportNode, inOrder, readKeys } from './postgres-export-graph.ts';
import { ATTACHED, STANDALONE } from './postgres-export-objects.ts';
import { RELATIONS } from './postgres-export-relations.ts';
import { RIGHTS } from './postgres-export-rights.ts';
import { UNSUPPORTED } from './postgres-export-unsupported.ts';
import { CatalogChanged } from './postgres-snapshot.ts';

/** Kinds of which an object may have nothing to be written; else its definition is only missing when it was dropped meanwhile. */
const MAY_BE_NOTHING = new Set(['SEQUENCE OWNED BY', 'ACL', 'DEFAULT ACL']);

/** A schema as the catalog describes it. */
export interface CatalogExport {
  /** As `readDumpFile` gives them: what creates the objects, one after the other. */
  readonly entries: readonly DumpEntry[];
  /** What is not among the entries, by name: objects of kinds that are not written here, and what needs those. */
  readonly unsupported: readonly string[];
}

/**
 * Reads the schema of a database without pg_dump, by the functions with which the server prints its own objects. The session's
 * search path must be empty, so that names are printed with their schemas.
 * @throws DR_UNSUPPORTED_OBJECT for a table that needs an object that is not supported; DR_INCOMPATIBLE for a definition that is no
 *   text; CatalogChanged, and what the server says, e.g. that it could not lock a view
 */
export async function exportCatalog(session: PostgresSession): Promise<CatalogExport> {
  const missing = new Map((await session.query(UNSUPPORTED)).map(({ key, name }) => [key ?? '', name ?? '']));
  const nodes = new Map<string, ExportNode>();
  for (const list of [...STANDALONE, ...RELATIONS, ...ATTACHED, ...RIGHTS]) {
    for (const row of await session.query(list)) {
      if (row.definition === null) {
        if (MAY_BE_NOTHING.has(row.kind ?? '')) continue;
        throw new CatalogChanged(`${row.kind?.toLowerCase()} ${row.tag} was dropped meanwhile`);
      }
      const node: ExportNode = {
        key: row.key ?? '',
        catalog: Number(row.oid) === 0 ? 0 : Number(row.catalog),
        oid: Number(row.oid),
        kind: row.kind ?? '',
        schema: row.schema ?? null,
        tag: row.tag ?? '',
        section: row.section as DumpEntry['section'],
        owner: row.owner ?? null,
        definition: row.definition ?? '',
        drop: row.drop ?? '',
        needs: new Set(JSON.parse(row.needs ?? '[]') as string[]),
      };
      if (!missing.has(node.key)) nodes.set(node.key, node);
    }
  }
  if (session.encoding === 'SQL_ASCII') assertText([...nodes.values()]);
  const unsupported = new Map(missing);
  const { resolve, edges } = await readKeys(session, (key) => nodes.has(key) || missing.has(key));
  for (const [from, to] of edges) nodes.get(from)?.needs.add(to);
  for (const node of nodes.values()) {
    const needs = [...node.needs].map(resolve).filter((key) => key !== undefined && key !== node.key);
    // Of what has no entry: of an object that belongs to the server, or that is made together with another one.
    if (needs.length === 0 && node.needs.size > 0 && node.kind === 'COMMENT') nodes.delete(node.key);
    node.needs.clear();
    for (const key of needs) node.needs.add(key as string);
  }
  leaveOut(nodes, unsupported);
  return { entries: await inOrder(session, nodes), unsupported: [...unsupported.values()].sort() };
}

/** Takes away what needs something that is not supported. A table has rows: it cannot be left out. */
function leaveOut(nodes: Map<string, ExportNode>, unsupported: Map<string, string>): void {
  for (let before = -1; before !== unsupported.size; ) {
    before = unsupported.size;
    for (const node of nodes.values()) {
      const reason = [...node.needs].map((key) => unsupported.get(key)).find((name) => name !== undefined);
      if (reason === undefined) continue;
      const name = `${node.kind.toLowerCase()} ${node.schema === null ? '' : `${node.schema}.`}${node.tag}`;
      if (node.kind === 'TABLE') {
        throw new HoldfastError(
          'DR_UNSUPPORTED_OBJECT',
          `The ${name} needs ${reason}, which only pg_dump can keep: install it.`,
          {
            details: { objects: [name] },
          },
        );
      }
      nodes.delete(node.key);
      unsupported.set(node.key, `${name}, which needs ${reason}`);
    }
  }
}

/** A database without an encoding may hold names and bodies that are no text; they could not be written back. */
function assertText(nodes: readonly ExportNode[]): void {
  const broken = nodes.find(({ definition }) => definition.includes('\ufffd'));
  if (broken === undefined) return;
  throw new HoldfastError(
    'DR_INCOMPATIBLE',
    `The definition of ${broken.kind.toLowerCase()} ${broken.tag} is no UTF-8.`,
  );
}
