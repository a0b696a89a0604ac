import { describe, it } from 'vitest';
import { type Available, availabilityOf, type ServerKind } from './availability.ts';

/**
 * A `describe` for tests that need a server of this kind. Where none can be had they are skipped, with the reason in the name;
 * with CI=true they fail. The block learns what it runs on: a test that kills its server is `it.skipIf(!killable)`.
 */
export function describeWith(kind: ServerKind, name: string, block: (server: Available) => void | Promise<void>): void {
  const availability = availabilityOf(kind);
  if (availability.available) {
    describe(name, () => block(availability));
  } else if (process.env.CI === 'true') {
    describe(name, () => {
      it(`needs ${kind}`, () => {
        throw new Error(availability.reason);
      });
    });
  } else {
    describe(name, () => {
      it.skip(availability.reason);
    });
  }
}
