import type { Frame } from '../src/protocol/sync-source.ts';
import { until } from './guarded.ts';

export interface GatherOptions {
  /** A group holds no more changes than this, unless its first frame does. */
  readonly maxChanges: number;
  /** As `maxChanges`, for the encoded bodies of its frames. */
  readonly maxBytes: number;
  /** Runs a task after what is going on now. */
  readonly soon: (task: () => void) => void;
  readonly signal: AbortSignal;
}

/**
 * Groups of the frames that are there without waiting, so that they can be applied in one transaction. A group ends after a
 * frame with digests. The next frame is asked for before the group is given out, and is on its way while that is applied.
 */
export async function* gather(frames: AsyncIterable<Frame>, options: GatherOptions): AsyncGenerator<Frame[], void> {
  const iterator = frames[Symbol.asyncIterator]();
  const ask = (): Promise<IteratorResult<Frame>> => {
    const asked = until(options.signal, () => iterator.next());
    asked.catch(() => {});
    return asked;
  };
  const nothing = Symbol('nothing');
  const soon = (): Promise<typeof nothing> => new Promise((resolve) => options.soon(() => resolve(nothing)));
  try {
    let asked = ask();
    for (let result = await asked; result.done !== true; result = await asked) {
      const group = [result.value];
      let changes = changesOf(result.value);
      let bytes = result.value.body.length;
      asked = ask();
      while (group.at(-1)?.digests === null && changes < options.maxChanges) {
        // An error waits, too: what came before it is applied first.
        const more = await Promise.race([asked, soon()]).catch((): typeof nothing => nothing);
        if (more === nothing || more.done === true) break;
        // It stays asked for: the next group begins with it.
        changes += changesOf(more.value);
        bytes += more.value.body.length;
        if (changes > options.maxChanges || bytes > options.maxBytes) break;
        group.push(more.value);
        asked = ask();
      }
      yield group;
    }
  } finally {
    iterator.return?.()?.catch(() => {});
  }
}

function changesOf(frame: Frame): number {
  return frame.to - frame.from + 1;
}
