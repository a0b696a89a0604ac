import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Creates a directory with its parents; nothing happens when it exists. Unlike `mkdirSync(…, { recursive: true })` it also
 * ends where the file system refuses with ENOENT although the parent exists (under `/proc` Node tries for ever).
 * @throws the file system's error
 */
export function ensureDirectory(path: string): void {
  const directory = resolve(path);
  if (existsSync(directory)) return;
  ensureDirectory(dirname(directory));
  try {
    mkdirSync(directory);
  } catch (error) {
    // Somebody else may have been first.
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}

/** The names in a directory; none when there is no such directory. @throws the file system's other errors */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Returns when the names in a directory are on disk: new files, and those that were renamed or removed. @throws the file system's error */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
