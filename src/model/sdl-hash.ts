import { hash } from 'node:crypto';
import type { DocumentNode } from 'graphql';

/** Parts of a node that say nothing: places, descriptions, how a string is quoted. */
const MEANINGLESS = new Set(['loc', 'description', 'block']);

/**
 * Digest of what an SDL says, 32 hexadecimal digits: the same for any layout, comments, descriptions and order of definitions.
 * Primary and replica compare it.
 */
export function sdlHash(document: DocumentNode): string {
  const definitions = document.definitions.map((definition) =>
    JSON.stringify(definition, (key, value: unknown) => (MEANINGLESS.has(key) ? undefined : value)),
  );
  return hash('sha256', definitions.sort().join('\n'), 'hex').slice(0, 32);
}
