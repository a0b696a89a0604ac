import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode, HoldfastError, isHoldfastError } from '../src/errors.ts';

const ROOT = resolve(import.meta.dirname, '..');
const CODES = Object.keys(ERRORS) as ErrorCode[];

const sources = textsOf(['src/**/*.ts', 'resolvers/**/*.ts', 'replica/**/*.ts'], 'src/errors.ts');
const tests = textsOf(['test/**/*.ts'], 'test/errors.test.ts');

function textsOf(patterns: string[], except: string): string[] {
  const files = globSync(patterns, { cwd: ROOT }).filter((file) => file !== except);
  return files.map((file) => readFileSync(join(ROOT, file), 'utf8'));
}

/** Whether one of the texts holds the code as a word of its own. */
function mentioned(texts: readonly string[], code: string): boolean {
  const word = new RegExp(`(?<![A-Z_])${code}(?![A-Z_])`);
  return texts.some((text) => word.test(text));
}

/** The page of the manual. */
function manual(): string {
  const entries = Object.entries(ERRORS).map(([code, { cause, remedy, retryable, status }]) => {
    const again = retryable ? 'The same request may succeed later.' : 'The same request fails again.';
    return `## ${code}\n\n${cause}\n\n${remedy}\n\n${again} HTTP status ${status}.\n`;
  });
  const head =
    '# Error codes\n\nEvery error carries one of these as `extensions.code`, with `retryable` and `requestId`. ' +
    'The command line prints the code, what happened, and what to do.\n';
  return [head, ...entries].join('\n');
}

describe('the catalogue of errors', () => {
  it.each(CODES)('%s is thrown somewhere', (code) => {
    const thrown = new RegExp(`['"\`]${code}['"\`]`);
    expect(sources.some((text) => thrown.test(text))).toBe(true);
  });

  it.each(CODES)('%s is tested', (code) => {
    expect(mentioned(tests, code)).toBe(true);
  });

  // After a change of the catalogue: vitest run --project unit test/errors.test.ts -u
  it('is what docs/errors.md shows', async () => {
    await expect(manual()).toMatchFileSnapshot('../docs/errors.md');
  });

  it('says what to do about each', () => {
    for (const { cause, remedy, status } of Object.values(ERRORS)) {
      expect(cause).toMatch(/\.$/);
      expect(remedy).toMatch(/\.$/);
      expect(status).toBeGreaterThanOrEqual(200);
    }
  });

  it('knows from the code whether a retry makes sense', () => {
    expect(new HoldfastError('PORT_IN_USE', 'port 1').retryable).toBe(true);
    expect(new HoldfastError('NOT_FOUND', 'no such thing').retryable).toBe(false);
  });

  it('tells its own errors from others', () => {
    const error = new HoldfastError('NOT_FOUND', 'no such thing', { cause: new Error('why'), details: { id: 1 } });
    expect(isHoldfastError(error)).toBe(true);
    expect(isHoldfastError(error, 'NOT_FOUND')).toBe(true);
    expect(isHoldfastError(error, 'CONFLICT')).toBe(false);
    expect(isHoldfastError(new Error('NOT_FOUND'))).toBe(false);
    expect(error.details).toEqual({ id: 1 });
  });
});
