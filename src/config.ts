import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findFile, readFile } from './config/file.ts';
import { variableOf } from './config/keys.ts';
import { Layers, type Resolved } from './config/layers.ts';
import type { Config, ConfigInput, Role } from './config/schema.ts';

export { type ConfigKey, configKeys } from './config/keys.ts';
export { ACCESS_ROLES, type AccessRole, type Config, type ConfigInput, Role } from './config/schema.ts';

export interface ConfigSources {
  /** Configuration file; without it `holdfast.config.{yaml,json,ts}` is looked for in `directory`. */
  readonly file?: string | undefined;
  /** What the command runs as. A file or a variable that names another role is a mistake. */
  readonly role?: Role | undefined;
  /** Values of flags by dotted path, with the flag's name. They win over the environment, which wins over the file. */
  readonly flags?: readonly { readonly path: string; readonly value: unknown; readonly flag: string }[];
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default the working directory. */
  readonly directory?: string;
}

export interface LoadedConfig extends Resolved {
  /** The file that was read, if any. */
  readonly file: string | undefined;
}

/** Gives a configuration in TypeScript its types: `export default defineConfig({ … })`. */
export function defineConfig(input: ConfigInput): ConfigInput {
  return input;
}

/**
 * Completes and checks a configuration given as a value.
 * @throws CONFIG_INVALID with every mistake
 */
export function resolveConfig(input: ConfigInput = {}, env: ConfigSources['env'] = process.env): Config {
  const layers = new Layers();
  layers.addObject(input, 'the configuration');
  return layers.resolve(env).config;
}

/**
 * Reads file, environment and flags.
 * @throws CONFIG_INVALID with every mistake, each with its key and where it was written
 */
export async function loadConfig(sources: ConfigSources = {}): Promise<LoadedConfig> {
  const env = sources.env ?? process.env;
  const file = findFile(sources.file, sources.directory ?? process.cwd());
  const layers = new Layers();
  if (file !== undefined) layers.addObject(await readFile(file), file, dirname(file));
  layers.addEnvironment(env);
  for (const { path, value, flag } of sources.flags ?? []) layers.set(path, value, flag);
  if (sources.role !== undefined) layers.agreeOnRole(sources.role);
  return { ...layers.resolve(env), file };
}

/** Directory in which a process with this configuration keeps its data. */
export function dataDirectory(config: Config): string {
  if (config.role === 'replica') return resolve(config.replica.data);
  const { url, data } = config.store;
  return resolve(url?.startsWith('sqlite:') ? url.slice('sqlite:'.length) : data);
}

/** URL of the database server of a primary; undefined when it keeps its documents in the embedded store. */
export function databaseUrl({ store }: Config): string | undefined {
  return store.url?.startsWith('sqlite:') ? undefined : store.url;
}

/** Directory of the example schema that comes with Holdfast. */
export function exampleSchemaDirectory(): string {
  return fileURLToPath(new URL('../schema/example', import.meta.url));
}

/** The environment for a process of our own that is to see these values, by dotted path, besides what this one sees. */
export function environmentWith(values: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...Object.fromEntries(Object.entries(values).map(([path, text]) => [variableOf(path), text])),
  };
}

/** The token that commands show to a running process when no `--token` is given: `HOLDFAST_TOKEN`. */
export function clientToken(env: ConfigSources['env'] = process.env): string | undefined {
  return env.HOLDFAST_TOKEN || undefined;
}

/** Whether errors on the command line come with their stack: `HOLDFAST_DEBUG` is set. */
export function debugging(env: ConfigSources['env'] = process.env): boolean {
  return (env.HOLDFAST_DEBUG ?? '') !== '';
}
