import { setFlagsFromString } from 'node:v8';

/**
 * Runs `make`, of which nearly everything stays, with the young generation of the heap as large as it is. V8 would double it again and
 * again for what survives, only to move all of it on, and would not give it back: 500 entities leave 40 MB of nothing so.
 */
export function lasting<T>(make: () => T): T {
  setFlagsFromString('--semi-space-growth-factor=1');
  try {
    return make();
  } finally {
    // V8's default: https://github.com/v8/v8/blob/main/src/flags/flag-definitions.h
    setFlagsFromString('--semi-space-growth-factor=2');
  }
}
