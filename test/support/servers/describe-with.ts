import { describe, it } from 'vitest';
import { type Available, availabilityOf, type ServerKind } from './availability.ts';

/** Demands on the server besides its kind. */
export interface Demands {
  /** The tests kill, suspend or stop it. They are skipped on a server that was there before, also with CI=true. */
  readonly killable?: boolean;
}

/** Skipped with CI=true as well: what it is fetched from changes every day, and may not be whole on some. */
const OPTIONAL: ReadonlySet<ServerKind> = new Set(['mysql']);

/**
 * A `describe` for tests that need a server of this kind. Where none can be had they are skipped, with the reason in the name;
 * with CI=true they fail, but for MySQL. The block learns what it runs on: a single test that kills its server is `it.skipIf(!killable)`.
 */
export function describeWith(
  kind: ServerKind,
  name: string,
  block: (server: Available) => void | Promise<void>,
  demands: Demands = {},
): void {
  const availability = availabilityOf(kind);
  if (!availability.available && process.env.CI === 'true' && !OPTIONAL.has(kind)) {
    describe(name, () => {
      it(`needs ${kind}`, () => {
        throw new Error(availability.reason);
      });
    });
  } else if (!availability.available) {
    describe(name, () => it.skip(availability.reason));
  } else if (demands.killable === true && !availability.killable) {
    describe(name, () => it.skip(`must not kill ${availability.what}`));
  } else {
    describe(name, () => block(availability));
  }
}
