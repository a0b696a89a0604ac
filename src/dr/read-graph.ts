import { openSql, type SqlSource } from '../sql/connect.ts';
import { PostgresSession } from '../sql/postgres-session.ts';
import { readMariadbGraph } from './dialect/mariadb-source.ts';
import { readCatalog } from './dialect/postgres-catalog.ts';
import type { GraphTable } from './graph/render.ts';
import { type TableGraph, tableGraph } from './graph/table-graph.ts';

/** How the tables of a database refer to each other. */
export interface SourceGraph {
  readonly graph: TableGraph;
  readonly tables: readonly GraphTable[];
}

/** Reads the foreign keys of a database. @throws CONFIG_INVALID, DATABASE_UNAVAILABLE, DR_PRIVILEGE_MISSING, DR_INCOMPATIBLE */
export async function readGraph(source: SqlSource): Promise<SourceGraph> {
  await using sql = openSql(source, { connections: 1, applicationName: 'holdfast graph' });
  if (sql.driver === 'mysql') {
    const { tables, keys } = await readMariadbGraph(sql);
    return {
      graph: tableGraph(
        tables.map(({ id }) => id),
        keys,
      ),
      tables: tables.map(({ id, name }) => ({ id, label: name })),
    };
  }
  await using session = await PostgresSession.open(sql);
  const { tables, keys } = await readCatalog(session);
  const labelled = tables.map(({ oid, schema, name }) => ({ id: oid, label: `${schema}.${name}` }));
  return {
    graph: tableGraph(
      tables.map(({ oid }) => oid),
      keys,
    ),
    tables: labelled,
  };
}
