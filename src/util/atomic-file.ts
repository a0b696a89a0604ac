import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncDirectory } from './directory.ts';

/**
 * Replaces a file as a whole: whoever reads sees the old text or the new one. Returns after fsync. Readable by its owner only.
 * @throws the file system's error; the old file is then as it was
 */
export function replaceFile(path: string, text: string): void {
  const directory = dirname(path);
  // Hidden, and of this process: two writers must not share it.
  const draft = join(directory, `.${basename(path)}.${process.pid}.draft`);
  try {
    const file = openSync(draft, 'w', 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  syncDirectory(directory);
}
