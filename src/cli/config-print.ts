import { configKeys } from '../config.ts';
import { maskSecrets } from '../util/secrets.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { table } from './table.ts';

/** `holdfast config print`: every key with its value and where that comes from; secrets are masked. */
export async function configPrint({ config, terminal }: CommandContext): Promise<ExitCode> {
  const loaded = await config();
  const keys = configKeys().map(({ path, variable }) => {
    const value = valueAt(loaded.config, path);
    const origin = loaded.origins.get(path) ?? 'default';
    return { key: path, value: value === undefined ? null : masked(path, value), origin, variable };
  });
  const rows = keys.map(({ key, value, origin }) => [key, value === null ? '-' : textOf(value), origin]);
  terminal.result({ file: loaded.file ?? null, keys }, table(['key', 'value', 'origin'], rows));
  return ExitCode.OK;
}

function valueAt(tree: unknown, path: string): unknown {
  let value = tree;
  for (const name of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[name];
  return value;
}

function masked(path: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => masked(path, item));
  return typeof value === 'string' || typeof value === 'object' ? maskSecrets(path, value) : value;
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(',') || '-';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
