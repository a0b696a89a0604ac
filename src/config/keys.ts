import { z } from 'zod';
import { configSchema } from './schema.ts';

/** A key as `config print` and the manual show it. */
export interface ConfigKey {
  /** Dotted path, e.g. `server.port`. */
  readonly path: string;
  /** Environment variable that sets it. */
  readonly variable: string;
  readonly description: string;
}

/** What the environment variables of Holdfast begin with. */
export const PREFIX = 'HOLDFAST_';

/** Paths that hold a value, with its type; read off the schema. */
export const LEAVES = new Map<string, { readonly type: z.ZodType; readonly description: string }>();
/** Paths that hold keys. */
export const GROUPS = new Set<string>();
gather(configSchema('primary'), '');

/** Every key there is, in the order of the manual. */
export function configKeys(): readonly ConfigKey[] {
  return [...LEAVES].map(([path, { description }]) => ({ path, variable: variableOf(path), description }));
}

/** The environment variable of a key: `server.opsPort` is `HOLDFAST_SERVER_OPS_PORT`. */
export function variableOf(path: string): string {
  return PREFIX + path.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase();
}

function gather(schema: z.ZodObject, prefix: string): void {
  for (const [name, wrapped] of Object.entries(schema.shape)) {
    const path = prefix + name;
    const inner = unwrapped(wrapped as z.ZodType);
    if (inner instanceof z.ZodObject) {
      GROUPS.add(path);
      gather(inner, `${path}.`);
    } else LEAVES.set(path, { type: inner, description: (wrapped as z.ZodType).description ?? '' });
  }
}

function unwrapped(type: z.ZodType): z.ZodType {
  if (type instanceof z.ZodDefault || type instanceof z.ZodOptional || type instanceof z.ZodPrefault) {
    return unwrapped(type.unwrap() as z.ZodType);
  }
  return type;
}
