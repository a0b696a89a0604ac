/** Something that a backup and a restore must bring back unchanged. */
export interface HardCase {
  readonly name: string;
  /**
   * What makes it, in a schema of its own that is first in the search path; each text is sent by itself, so that a text may
   * hold what cannot be in a transaction with others. Names outside of schemas must be of its own.
   */
  readonly sql: readonly string[];
  /** A question about it and the answer, in the source and in what was restored, so that a case is what it says. */
  readonly holds?: readonly [question: string, answer: string];
}

/** How a group is backed up and restored: into an empty database, from text or binary rows, or into a copy of its schema. */
export type Way = 'full' | 'binary' | 'data';

/** Cases that share a database, and so a backup. */
export interface HardCaseGroup {
  readonly name: string;
  readonly cases: readonly HardCase[];
  /** Statements before those of the cases: roles, extensions. */
  readonly before?: string;
  /** Of the database; default UTF8. */
  readonly encoding?: string;
  readonly ways: readonly Way[];
}

/** A case; the answer to its question is true unless it is given. */
export function hard(name: string, sql: string | readonly string[], question?: string, answer?: string): HardCase {
  const texts = typeof sql === 'string' ? [sql] : sql;
  return question === undefined ? { name, sql: texts } : { name, sql: texts, holds: [question, answer ?? 't'] };
}

/** Values of one type, written as SQL; each must come back as what the server makes of it. */
export function values(name: string, type: string, literals: readonly string[], before = ''): HardCase {
  const rows = literals.map((literal, index) => `(${index}, (${literal})::${type})`).join(', ');
  return hard(
    name,
    [...(before === '' ? [] : [before]), `CREATE TABLE v (id int, v ${type}); INSERT INTO v VALUES ${rows}`],
    `SELECT count(*) = ${literals.length} AND bool_and(v.v::text IS NOT DISTINCT FROM e.v::text) FROM v JOIN (VALUES ${rows}) e(id, v) USING (id)`,
  );
}
