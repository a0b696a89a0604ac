/** Types whose binary form is the same in every major version, on every machine, and holds no oid of one database. */
const STABLE = new Set([
  ...['boolean', 'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric', 'money', 'uuid', 'bytea'],
  ...['text', 'character varying', 'character', 'bpchar', 'name', '"char"', 'json', 'jsonb', 'bit', 'bit varying'],
  ...['date', 'time without time zone', 'time with time zone', 'interval'],
  ...['timestamp without time zone', 'timestamp with time zone', 'inet', 'cidr', 'macaddr', 'macaddr8'],
  ...['point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle'],
]);

/**
 * Whether rows of these types may be kept in COPY's binary format.
 * @param bases type of each column with domains resolved, `element[]` for an array
 */
export function isBinaryStable(bases: readonly string[]): boolean {
  return bases.every((base) => STABLE.has(base.replace(/(\[\])+$/, '')));
}
