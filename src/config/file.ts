import { existsSync, readFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HoldfastError } from '../errors.ts';

const FILES = ['holdfast.config.yaml', 'holdfast.config.json', 'holdfast.config.ts'];
/** Keys that hold a path, which in a file is meant from the file's directory. */
const PATH_KEYS = new Set([
  ...['schema', 'store.url', 'store.data', 'replica.token', 'replica.data'],
  ...['dr.dir', 'dr.keyFile', 'fallback.datasets.dir', 'fallback.datasets.keyFile', 'journal.dir'],
]);

/**
 * The configuration file: the one that is named, or the one there is in `directory`, if any.
 * @throws CONFIG_INVALID when the one that is named does not exist, or there are two
 */
export function findFile(file: string | undefined, directory: string): string | undefined {
  if (file !== undefined) {
    const path = resolve(directory, file);
    if (!existsSync(path)) throw new HoldfastError('CONFIG_INVALID', `the configuration file ${path} does not exist`);
    return path;
  }
  const found = FILES.map((name) => join(directory, name)).filter((path) => existsSync(path));
  if (found.length > 1) {
    throw new HoldfastError('CONFIG_INVALID', `there are two configuration files, ${found.join(' and ')}; keep one`);
  }
  return found[0];
}

/** What a configuration file holds, not checked yet. @throws CONFIG_INVALID */
export async function readFile(file: string): Promise<unknown> {
  try {
    switch (extname(file)) {
      case '.yaml':
      case '.yml': {
        const { parse } = await import('yaml');
        return parse(readFileSync(file, 'utf8')) ?? {};
      }
      case '.json':
        return JSON.parse(readFileSync(file, 'utf8'));
      case '.ts':
      case '.js':
      case '.mjs':
        return ((await import(pathToFileURL(file).href)) as { default?: unknown }).default;
      default:
        throw new Error('its name must end in .yaml, .json or .ts');
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError('CONFIG_INVALID', `the configuration file ${file} cannot be read: ${reason}`, { cause });
  }
}

/** A value of a file that was written as meant from the directory of that file. */
export function absolute(path: string, value: unknown, directory: string): unknown {
  if (!PATH_KEYS.has(path) || typeof value !== 'string' || value.startsWith('s3://')) return value;
  const [, scheme, place = ''] = /^(sqlite:|file:)(.+)$/.exec(value) ?? [];
  if (scheme !== undefined) return scheme + resolve(directory, place);
  return path === 'replica.token' || URL.canParse(value) ? value : resolve(directory, value);
}
