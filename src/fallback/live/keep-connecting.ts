import { Backoff } from '../../../replica/backoff.ts';
import { isHoldfastError } from '../../errors.ts';
import { pause } from '../../util/pause.ts';
import type { Troubles } from './follow-database.ts';

/**
 * Tries until it works. Resolves after the first try, with a promise for the end of the others.
 * @throws what the first try throws, unless the database could only not be reached
 */
export async function keepConnecting(
  attempt: () => Promise<void>,
  troubles: Pick<Troubles, 'set'>,
  signal: AbortSignal,
): Promise<{ readonly ended: Promise<void> }> {
  const what = 'the database cannot be used';
  try {
    await attempt();
    return { ended: Promise.resolve() };
  } catch (error) {
    if (!isHoldfastError(error, 'DATABASE_UNAVAILABLE')) throw error;
    troubles.set(what, error);
  }
  const backoff = new Backoff({ baseMs: 250, maxMs: 2_000 });
  const goOn = async (): Promise<void> => {
    while (!signal.aborted) {
      await pause(backoff.next(), signal);
      if (signal.aborted) return;
      try {
        await attempt();
        troubles.set(what, null);
        return;
      } catch (error) {
        troubles.set(what, error);
      }
    }
  };
  return { ended: goOn() };
}
