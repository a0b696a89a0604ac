import type { SchemaObject } from '../archive/manifest.ts';

/** The largest value of an identity column of type integer, which a sequence has of itself or by what is said. */
const INTEGER_END = /(ADD GENERATED [^;]*?)(?:NO MAXVALUE|MAXVALUE 2147483647)\b/;

/**
 * What tells objects of a server apart: the statements that create them, but for what two servers may say in different words.
 * @param sameMajor whether both are of one major version: another one prints definitions otherwise, so that only their names can be compared
 */
export function comparableStatements({ kind, statements }: SchemaObject, sameMajor: boolean): readonly string[] {
  if (!sameMajor) return [];
  // Grants come in the order in which they were made, which changes nothing.
  if (kind === 'ACL') return statements.flatMap((text) => text.split('\n')).sort();
  return kind === 'SEQUENCE' ? statements.map((text) => text.replace(INTEGER_END, '$1')) : statements;
}
