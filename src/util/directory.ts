import { existsSync, mkdirSync } from 'node:fs';
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
  mkdirSync(directory);
}
