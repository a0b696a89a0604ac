import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { lstatSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { HoldfastError } from '../../errors.ts';
import { replaceFile } from '../../util/atomic-file.ts';
import { ensureDirectory } from '../../util/directory.ts';

const KEY = /^[0-9a-f]{64}$/i;

/**
 * The key that fakes are drawn with: 64 hexadecimal digits in a file that only its owner can read; made when there is none. Who has it
 * can test guesses about masked values, so it never stands in a dataset.
 * @throws CONFIG_INVALID when the file holds no key or others may read it; DATA_UNWRITABLE when it cannot be made
 */
export function datasetKey(path: string): KeyObject {
  const text = readText(path) ?? makeKey(path);
  if (KEY.test(text)) return createSecretKey(text, 'hex');
  throw new HoldfastError(
    'CONFIG_INVALID',
    `${path} holds no key: it must be 64 hexadecimal digits, as \`openssl rand -hex 32\` writes`,
  );
}

function readText(path: string): string | undefined {
  try {
    if ((lstatSync(path).mode & 0o077) !== 0) {
      throw new HoldfastError('CONFIG_INVALID', `${path} can be used by others than its owner; run chmod 600 on it`);
    }
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function makeKey(path: string): string {
  const text = randomBytes(32).toString('hex');
  try {
    ensureDirectory(dirname(path));
    replaceFile(path, `${text}\n`);
  } catch (cause) {
    throw new HoldfastError('DATA_UNWRITABLE', `the key ${path} cannot be made: ${(cause as Error).message}`, {
      cause,
    });
  }
  return text;
}
