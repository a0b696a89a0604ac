import { readFileSync } from 'node:fs';
import { HoldfastError } from '../errors.ts';

/** The value of a setting as it may be shown: passwords and tokens, also those inside URLs, are replaced by `***`. */
export function maskSecrets(name: string, value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (/token|secret|password/i.test(name)) return '***';
  return text
    .replace(/(\/\/[^/@:\s]*:)[^\s"]+@/g, '$1***@')
    .replace(/([?&][^=&\s]*(?:token|secret|password)[^=&\s]*=)[^&\s"]+/gi, '$1***');
}

/**
 * The secret that a setting holds: itself, or with `file:PATH` the first line of that file.
 * @throws CONFIG_INVALID when the file cannot be read
 */
export function secretOf(name: string, setting: string): string {
  const path = /^file:(.+)$/.exec(setting)?.[1];
  if (path === undefined) return setting;
  try {
    return (readFileSync(path, 'utf8').split('\n', 1)[0] ?? '').trim();
  } catch (cause) {
    throw new HoldfastError('CONFIG_INVALID', `${name} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
