import { availableParallelism } from 'node:os';
import type { Config } from '../config.ts';
import type { Compression } from '../dr/archive/chunk-writer.ts';
import { type EncryptionKey, readKeyFile } from '../dr/archive/encryption-key.ts';
import { parseCompression, ZSTD_LEVELS } from '../dr/compression.ts';
import type { SqlSource } from '../sql/connect.ts';
import { nearest } from '../util/nearest.ts';
import { type CommandContext, UsageError } from './command.ts';

/** Without a configured number there are as many workers as processors, up to this. */
const MAX_DEFAULT_WORKERS = 8;

type Options = CommandContext['options'];

/** The text of an option that must be given. */
export function required(options: Options, name: string, what: string): string {
  const value = options[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new UsageError(`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is missing: ${what}`);
}

/** The text of an option, or undefined. */
export function optional(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** An option that takes one of a few words. */
export function oneOf<T extends string>(options: Options, name: string, words: readonly T[]): T {
  const given = optional(options, name);
  const word = words.find((candidate) => candidate === given);
  if (word !== undefined) return word;
  throw new UsageError(`--${name} ${given ?? ''} is none of ${words.join(', ')}`);
}

/** Names by comma; undefined when the option was not given. */
export function listOf(options: Options, name: string): readonly string[] | undefined {
  const names = optional(options, name)
    ?.split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (names?.length === 0) throw new UsageError(`--${name} names nothing`);
  return names;
}

/** A database named on the command line: a name of `dr.sources`, which may bring suffixes, or a URL. */
export interface NamedSource {
  readonly source: SqlSource;
  readonly suffixes: Readonly<Record<string, string>>;
}

export function sourceOf({ dr }: Config, given: string): NamedSource {
  const configured = Object.hasOwn(dr.sources, given) ? dr.sources[given] : undefined;
  if (configured !== undefined) {
    return { source: (configured.url ?? configured.sequelize) as SqlSource, suffixes: configured.suffixes };
  }
  if (given.includes(':')) return { source: given, suffixes: {} };
  const names = Object.keys(dr.sources);
  const meant = nearest(given, names);
  const hint = meant === undefined ? `dr.sources names ${names.join(', ') || 'none'}` : `did you mean ${meant}?`;
  throw new UsageError(`${given} is neither the URL of a database nor a configured source; ${hint}`);
}

/** `TABLE=SQL` of each `--suffix`. */
export function suffixesOf(options: Options): Readonly<Record<string, string>> {
  const given = (options.suffix ?? []) as readonly string[];
  const entries = given.map((item) => {
    const at = item.indexOf('=');
    const [table, sql] = [item.slice(0, at).trim(), item.slice(at + 1).trim()];
    if (at > 0 && table !== '' && sql !== '') return [table, sql] as const;
    throw new UsageError(`--suffix ${item}: write TABLE=SQL, e.g. 'users=WHERE t.id = 1'`);
  });
  if (new Set(entries.map(([table]) => table)).size < entries.length)
    throw new UsageError('--suffix names a table twice');
  return Object.fromEntries(entries);
}

/** `none`, `zstd` or `zstd:LEVEL`. */
export function compressionOf(options: Options): Compression {
  const given = optional(options, 'compress') ?? 'zstd';
  const compression = parseCompression(given);
  if (compression !== undefined) return compression;
  throw new UsageError(
    `--compress ${given}: write none, zstd or zstd:LEVEL, levels ${ZSTD_LEVELS.least} to ${ZSTD_LEVELS.most}`,
  );
}

/** The configured number of workers, or as many as there are processors. */
export function workersOf({ dr }: Config): number {
  return dr.workers ?? Math.min(MAX_DEFAULT_WORKERS, availableParallelism());
}

/** The key of encrypted archives; undefined when none is configured. @throws CONFIG_INVALID */
export async function keyOf({ dr }: Config): Promise<EncryptionKey | undefined> {
  return dr.keyFile === undefined ? undefined : readKeyFile(dr.keyFile);
}
