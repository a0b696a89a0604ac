import type { ChangeLog } from '../changelog/change-log.ts';
import { HoldfastError } from '../errors.ts';
import type { CollectionDigest, CursorText, Frame } from '../protocol/sync-source.ts';
import type { Clock } from '../util/clock.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Feed } from './feed.ts';
import type { FrameBody } from './frame-cache.ts';
import type { Relay, Variant } from './relay.ts';

/** A subscriber that takes no frame for this long while there is news is ended, in ms. */
export const SLOW_CONSUMER_MS = 30_000;

/** What one subscription needs of its source. */
export interface SubscriptionOptions {
  readonly log: ChangeLog;
  readonly feed: Feed;
  readonly relay: Relay;
  readonly checkpoints: Checkpoints;
  readonly clock: Clock;
  readonly slowConsumerMs: number;
  /** The sequence to go on after. @throws FORK, FENCED, CURSOR_EXPIRED when the cursor may not be resumed. */
  readonly resume: (cursor: CursorText) => Promise<number>;
}

/**
 * The frames of one subscriber: those after `cursor`, then live, and an empty one on each beat. Pull: nothing is read, cut
 * or held before the next frame is asked for, so a subscriber costs one frame at most and changes gather in the
 * next one while it is busy. Ends quietly with the signal, or when the source stops.
 * @throws SLOW_CONSUMER (`cursor`), FORK, FENCED, CURSOR_EXPIRED
 */
export async function* subscription(
  options: SubscriptionOptions,
  from: CursorText,
  variant: Variant,
  signal: AbortSignal,
): AsyncGenerator<Frame, void> {
  const { log, feed, relay, checkpoints, clock, slowConsumerMs } = options;
  const waiter = feed.waiter(signal);
  try {
    let cursor = from;
    let generation = log.generation;
    let after = await options.resume(cursor);
    let beats = -1;
    let boundary = false;
    let round = 0;
    while (!signal.aborted && !feed.stopped) {
      if (generation !== log.generation || after > log.head().sequence || after < log.floor() - 1) {
        generation = log.generation;
        after = await options.resume(cursor);
        continue;
      }
      let body: FrameBody;
      if (after < log.head().sequence) {
        const cut = await relay.cutAfter(variant, after, boundary);
        body = cut.body;
        boundary = cut.short;
      } else if (beats !== feed.beats) {
        body = relay.idle();
      } else {
        await waiter.wait();
        continue;
      }
      let digests: readonly CollectionDigest[] | null = null;
      const currentRound = checkpoints.currentRound();
      if (round !== currentRound) {
        digests = await checkpoints.digests(variant, { epoch: body.epoch, sequence: body.to });
        if (digests !== null) round = currentRound;
      }
      after = body.to;
      cursor = body.cursor;
      beats = feed.beats;
      const frame = relay.frame(body, digests);
      const offeredAt = clock.now();
      yield frame;
      if (clock.now() - offeredAt > slowConsumerMs && log.head().sequence > after) {
        throw new HoldfastError(
          'SLOW_CONSUMER',
          `no frame was taken for ${slowConsumerMs} ms while there was news; subscribe again from the cursor`,
          { details: { cursor } },
        );
      }
    }
  } finally {
    waiter.close();
  }
}
