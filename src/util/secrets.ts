import { readFileSync } from 'node:fs';

/** The value of a setting as it may be shown: passwords and tokens, also those inside URLs, are replaced by `***`. */
export function maskSecrets(name: string, value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (/token|secret|password/i.test(name)) return '***';
  return text
    .replace(/(\/\/[^/@:\s]*:)[^\s"]+@/g, '$1***@')
    .replace(/([?&][^=&\s]*(?:token|secret|password)[^=&\s]*=)[^&\s"]+/gi, '$1***');
}

/**
 * The secret a setting names: itself, or with `file:PATH` the first line of that file.
 * @throws the file system's error
 */
export function secretOf(setting: string): string {
  const path = /^file:(.+)$/.exec(setting)?.[1];
  return path === undefined ? setting : (readFileSync(path, 'utf8').split('\n', 1)[0] ?? '').trim();
}
