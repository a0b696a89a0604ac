import { readFileSync } from 'node:fs';

/** The version of Holdfast, from its package.json. */
export function packageVersion(): string {
  // The sources lie two directories below it, the build three.
  const depth = import.meta.url.endsWith('.ts') ? '../..' : '../../..';
  const text = readFileSync(new URL(`${depth}/package.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
