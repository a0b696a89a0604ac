import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../errors.ts';
import { replaceFile } from '../util/atomic-file.ts';
import { ensureDirectory, namesIn } from '../util/directory.ts';
import { TOKEN, type Token } from './token.ts';

const NAME = /^([0-9a-f]{16})\.json$/;
/** A directory changed less than this ago may change again without a newer time: file systems count in ticks. */
const TICK_MS = 100;

const USES = z.record(z.string(), z.iso.datetime());

/** A file of a token that cannot be read; the error names it. */
export interface BrokenToken {
  readonly id: string;
  readonly error: HoldfastError;
}

/**
 * The tokens of a node, in its data directory: one file each under `tokens/`, replaced as a whole, so that the command line
 * and a running process write beside each other without a lock. Beside them, written by the running process only, the
 * tokens of the node that it follows, and when each was last used. Nothing here holds a token itself.
 */
export class TokenFiles {
  readonly #tokens: string;
  readonly #sourceFile: string;
  readonly #usesFile: string;
  #seen: string | undefined;

  constructor(dataDirectory: string) {
    this.#tokens = join(dataDirectory, 'tokens');
    this.#sourceFile = join(dataDirectory, 'source-tokens.json');
    this.#usesFile = join(dataDirectory, 'token-uses.json');
  }

  /** Whether the tokens may be others than at the last {@link read}; costs one look at the directory. */
  changed(): boolean {
    return this.#seen === undefined || this.#seen !== this.#stamp();
  }

  /**
   * Every token made here, also revoked ones; and the files that cannot be read as one. Those may be revocations: their ids are
   * not to be accepted.
   */
  read(): { readonly tokens: readonly Token[]; readonly broken: readonly BrokenToken[] } {
    // Looked at before, so that what changes meanwhile is seen next time.
    const stamp = this.#stamp();
    const tokens: Token[] = [];
    const broken: BrokenToken[] = [];
    for (const name of namesIn(this.#tokens)) {
      const id = NAME.exec(name)?.[1];
      if (id === undefined) continue;
      try {
        tokens.push(parsed(join(this.#tokens, name), TOKEN));
      } catch (error) {
        broken.push({ id, error: error as HoldfastError });
      }
    }
    this.#seen = stamp;
    return { tokens, broken };
  }

  /** Whether there is a file for the token with this id, readable or not. */
  has(id: string): boolean {
    return existsSync(this.#fileOf(id));
  }

  /** Writes a token; in place of the one with its id, if there is one. Returns when it is on disk. @throws DATA_UNWRITABLE */
  write(token: Token): void {
    this.#replace(this.#fileOf(token.id), token);
  }

  /** The tokens of the node that this one follows, as it last told them. @throws CONFIG_INVALID when that cannot be read */
  readSource(): Token[] {
    return existsSync(this.#sourceFile) ? parsed(this.#sourceFile, z.array(TOKEN)) : [];
  }

  /** @throws DATA_UNWRITABLE */
  writeSource(tokens: readonly Token[]): void {
    this.#replace(this.#sourceFile, tokens);
  }

  /** When each token was last used here, by id: ISO 8601, a minute or so behind. */
  readUses(): Map<string, string> {
    try {
      return new Map(Object.entries(parsed(this.#usesFile, USES)));
    } catch {
      return new Map(); // Nobody depends on it.
    }
  }

  /** @throws DATA_UNWRITABLE */
  writeUses(uses: ReadonlyMap<string, string>): void {
    this.#replace(this.#usesFile, Object.fromEntries(uses));
  }

  #fileOf(id: string): string {
    return join(this.#tokens, `${id}.json`);
  }

  #replace(path: string, value: unknown): void {
    try {
      ensureDirectory(this.#tokens);
      chmodSync(this.#tokens, 0o700);
      replaceFile(path, `${JSON.stringify(value)}\n`);
    } catch (cause) {
      throw new HoldfastError('DATA_UNWRITABLE', `${path} cannot be written: ${messageOf(cause)}`, { cause });
    }
  }

  /** Changes whenever a file was added, replaced or removed; undefined when that cannot be told yet. */
  #stamp(): string | undefined {
    const stats = statSync(this.#tokens, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return 'none';
    if (Date.now() - Number(stats.mtimeMs) < TICK_MS) return undefined;
    return `${stats.ino} ${stats.mtimeNs}`;
  }
}

function parsed<T>(path: string, type: z.ZodType<T>): T {
  try {
    return type.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new HoldfastError('CONFIG_INVALID', `${path} is no file of tokens that can be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function messageOf(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error);
  return error instanceof Error ? error.message : String(error);
}
