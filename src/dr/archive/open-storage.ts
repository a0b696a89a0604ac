import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { HoldfastError } from '../../errors.ts';
import { DirectoryStorage } from './directory-storage.ts';
import type { ArchiveStorage } from './storage.ts';

/**
 * Opens the place of an archive: a directory, or `s3://BUCKET/PREFIX`. Nothing is created or asked of a server yet.
 * @throws CONFIG_INVALID for another kind of URL
 */
export async function openStorage(location: string): Promise<ArchiveStorage> {
  if (location.startsWith('s3://')) {
    // Loaded when it is needed: the SDK is an optional peer.
    const { openS3Storage } = await import('./s3-storage.ts');
    return openS3Storage(location);
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(location)) {
    const scheme = location.slice(0, location.indexOf(':'));
    throw new HoldfastError(
      'CONFIG_INVALID',
      `${scheme}:// is no place for an archive: give a directory or s3://bucket/prefix`,
    );
  }
  return new DirectoryStorage(location);
}

/** The places directly below one, sorted: directories of a directory, or prefixes of a prefix. None when it does not exist. */
export async function placesIn(location: string): Promise<string[]> {
  if (location.startsWith('s3://')) {
    const { prefixesIn } = await import('./s3-storage.ts');
    return prefixesIn(location);
  }
  const directory = resolve(location);
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new HoldfastError('DATA_UNWRITABLE', `${directory} cannot be read: ${error.message}`, { cause: error });
  });
  return entries.flatMap((entry) => (entry.isDirectory() ? [join(directory, entry.name)] : [])).sort();
}
