import { readFileSync } from 'node:fs';
import { HoldfastError } from '../errors.ts';

/** Names of settings, and of options of TLS: `key` and `pfx` hold a private key. */
const SECRET = /token|secret|pass(word|phrase)|credential|^(key|pfx)$/i;

/** The value of a setting as it may be shown: passwords, tokens and private keys, also those inside URLs, are replaced by `***`. */
export function maskSecrets(name: string, value: unknown): string {
  if (SECRET.test(name)) return '***';
  const text =
    typeof value === 'string' ? value : JSON.stringify(value, (key, item) => (SECRET.test(key) ? '***' : item));
  return text
    .replace(/(\/\/[^/@:\s]*:)[^\s"]+@/g, '$1***@')
    .replace(/([?&][^=&\s]*(?:token|secret|password|authMechanismProperties)[^=&\s]*=)[^&\s"]+/gi, '$1***')
    .replace(/-----BEGIN [\s\S]*?(-----END [^-]*-----|$)/g, '***');
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
