import { describe, expect, it } from 'vitest';
import { parseCompression } from '../../src/dr/compression.ts';

describe('compression as people write it', () => {
  it.each([
    ['none', 'none'],
    ['zstd', { zstd: 1 }],
    ['zstd:1', { zstd: 1 }],
    ['zstd:19', { zstd: 19 }],
  ])('reads %s', (text, compression) => {
    expect(parseCompression(text)).toEqual(compression);
  });

  it.each(['', 'gzip', 'zstd:', 'zstd:0', 'zstd:20', 'zstd:-1', 'zstd:1.5', 'zstd:199', ' zstd', 'ZSTD'])(
    'does not read "%s"',
    (text) => {
      expect(parseCompression(text)).toBeUndefined();
    },
  );
});
