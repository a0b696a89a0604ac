import type { z } from 'zod';
import { HoldfastError } from '../errors.ts';
import { nearest } from '../util/nearest.ts';
import { maskSecrets } from '../util/secrets.ts';
import { absolute } from './file.ts';
import { GROUPS, LEAVES, PREFIX, variableOf } from './keys.ts';
import { type Given, mistakesOfFailpoint, mistakesTogether } from './rules.ts';
import { type Config, configSchema, RATE, type Role } from './schema.ts';
import { fromText } from './text.ts';

/** Kubernetes puts these in the environment of every pod beside a service named holdfast; `HOLDFAST_DEBUG` is `debugging`, `HOLDFAST_TOKEN` `clientToken`, `HOLDFAST_FAILPOINT` `Config.failpoint`. */
const FOREIGN_VARIABLES =
  /^HOLDFAST_(DEBUG|TOKEN|FAILPOINT|SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP)(_.*)?)?)$/;

/** A checked configuration. */
export interface Resolved {
  readonly config: Config;
  /** Where the value of each key comes from: `default`, a file, a variable or a flag. */
  readonly origins: ReadonlyMap<string, string>;
}

/** Values gathered from the sources, last one wins, with every mistake met on the way. */
export class Layers {
  readonly #values = new Map<string, unknown>();
  readonly #origins = new Map<string, string>();
  readonly #mistakes: string[] = [];

  /** Takes the keys of an object; paths in it are meant from `directory`, when it is given. */
  addObject(value: unknown, origin: string, directory?: string, prefix = ''): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.#mistakes.push(`${prefix === '' ? 'it' : prefix} must hold keys (${origin})`);
      return;
    }
    for (const [name, item] of Object.entries(value)) {
      const path = prefix === '' ? name : `${prefix}.${name}`;
      if (item === null || item === undefined) continue;
      if (LEAVES.has(path)) this.set(path, directory === undefined ? item : absolute(path, item, directory), origin);
      else if (GROUPS.has(path)) {
        // `rate: {}` alone says: with its defaults.
        if (!this.#values.has(path)) this.#values.set(path, {});
        this.addObject(item, origin, directory, path);
      } else this.#unknown(path, [...LEAVES.keys(), ...GROUPS], origin);
    }
  }

  /** Takes every variable that names a key. */
  addEnvironment(env: Readonly<Record<string, string | undefined>>): void {
    const paths = new Map([...LEAVES.keys()].map((path) => [variableOf(path), path]));
    for (const [variable, text] of Object.entries(env)) {
      if (!variable.startsWith(PREFIX) || FOREIGN_VARIABLES.test(variable) || text === undefined) continue;
      const path = paths.get(variable);
      if (path === undefined) this.#unknown(variable, paths.keys(), 'the environment');
      else this.set(path, text, variable);
    }
  }

  /** Takes one value; text is read as its key wants it. */
  set(path: string, value: unknown, origin: string): void {
    const leaf = LEAVES.get(path);
    if (leaf === undefined) throw new Error(`there is no configuration key ${path}`);
    this.#values.set(path, typeof value === 'string' ? fromText(leaf.type, value) : value);
    this.#origins.set(path, origin);
  }

  /** The role is that of the command; it is a mistake when something named another one. */
  agreeOnRole(role: Role): void {
    const named = this.#values.get('role');
    if (named === undefined) this.set('role', role, 'the command');
    else if (named !== role) {
      this.#mistakes.push(`role is ${named}, but the command is that of a ${role} (${this.#originOf('role')})`);
    }
  }

  /** The configuration, complete and frozen. @throws CONFIG_INVALID with every mistake that was met */
  resolve(env: Readonly<Record<string, string | undefined>>): Resolved {
    const tree: Record<string, unknown> = {};
    for (const [path, value] of this.#values) plant(tree, path, value);
    const parsed = configSchema(tree.role === 'replica' ? 'replica' : 'primary').safeParse(tree);
    for (const issue of parsed.error?.issues ?? []) this.#invalid(issue);
    if (parsed.success) {
      const given: Given = { has: (path) => this.#values.has(path), originOf: (path) => this.#originOf(path) };
      this.#mistakes.push(...mistakesTogether(parsed.data, given));
    }
    const production = env.NODE_ENV === 'production';
    const failpoint = env.HOLDFAST_FAILPOINT || undefined;
    if (failpoint !== undefined) this.#mistakes.push(...mistakesOfFailpoint(failpoint, production));
    if (!parsed.success || this.#mistakes.length > 0) throw this.#error();
    const { auth, limits } = parsed.data;
    if (auth.mode !== 'none') limits.rate ??= { ...RATE };
    const config = { ...parsed.data, production, failpoint };
    const origins = new Map([...LEAVES.keys()].map((path) => [path, this.#origins.get(path) ?? 'default']));
    return { config: deepFreeze(config), origins };
  }

  #invalid(issue: z.core.$ZodIssue): void {
    const path = issue.path.join('.');
    const key = [...LEAVES.keys()].find((leaf) => path === leaf || path.startsWith(`${leaf}.`)) ?? path;
    const value = this.#values.get(key);
    const shown = value === undefined ? '' : ` is ${maskSecrets(key, value)}:`;
    this.#mistakes.push(`${path}${shown} ${issue.message} (${this.#originOf(key)})`);
  }

  #unknown(name: string, candidates: Iterable<string>, origin: string): void {
    const meant = nearest(name, candidates);
    const hint = meant === undefined ? '`holdfast config print` lists the keys' : `did you mean ${meant}?`;
    this.#mistakes.push(`${name} is not a key; ${hint} (${origin})`);
  }

  #originOf(path: string): string {
    return this.#origins.get(path) ?? 'default';
  }

  #error(): HoldfastError {
    const [first, ...others] = this.#mistakes;
    const message =
      others.length === 0 ? `${first}` : `\n${this.#mistakes.map((mistake) => `- ${mistake}`).join('\n')}`;
    return new HoldfastError('CONFIG_INVALID', message, { details: { mistakes: this.#mistakes } });
  }
}

function plant(tree: Record<string, unknown>, path: string, value: unknown): void {
  const [name = '', ...rest] = path.split('.');
  if (rest.length === 0) tree[name] = value;
  else {
    tree[name] ??= {};
    plant(tree[name] as Record<string, unknown>, rest.join('.'), value);
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) deepFreeze(item);
  return Object.freeze(value);
}
