import type { Compression } from './archive/chunk-writer.ts';

/** Levels of zstd that may be asked for, both inclusive. */
export const ZSTD_LEVELS = { least: 1, most: 19 } as const;

/** `none`, `zstd` or `zstd:LEVEL` as people write it; undefined for anything else. */
export function parseCompression(text: string): Compression | undefined {
  if (text === 'none') return 'none';
  const found = /^zstd(?::(\d{1,2}))?$/.exec(text);
  if (found === null) return undefined;
  const zstd = Number(found[1] ?? ZSTD_LEVELS.least);
  return zstd >= ZSTD_LEVELS.least && zstd <= ZSTD_LEVELS.most ? { zstd } : undefined;
}
