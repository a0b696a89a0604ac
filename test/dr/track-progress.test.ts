import { describe, expect, it } from 'vitest';
import type { DrProgress } from '../../src/dr/progress.ts';
import { ProgressTracker } from '../../src/dr/track-progress.ts';
import type { Clock } from '../../src/util/clock.ts';

function tracked(): { tracker: ProgressTracker; reports: DrProgress[]; at: (ms: number) => void } {
  let now = 0;
  const never = (): (() => void) => () => {};
  const clock: Clock = { now: () => now, soon: () => {}, after: never, every: never };
  const reports: DrProgress[] = [];
  const tracker = new ProgressTracker((progress) => reports.push(progress), clock);
  return { tracker, reports, at: (ms) => (now = ms) };
}

describe('ProgressTracker', () => {
  it('reports at most four times a second, and at the end', () => {
    const { tracker, reports, at } = tracked();
    tracker.plan([{ id: 1, name: 'public.film', chunks: 1, bytes: 1000 }]);
    tracker.phase('reading rows');
    for (let ms = 1; ms <= 1000; ms++) {
      at(ms);
      tracker.read(1, 1);
    }
    tracker.finish(1, 10);
    tracker.end('done');
    expect(reports).toHaveLength(1 + 4 + 1);
    expect(reports.at(-1)).toMatchObject({
      phase: 'done',
      percent: 100,
      etaMs: 0,
      rowsDone: 10,
      bytesDone: 1000,
      tablesDone: 1,
    });
  });

  it('estimates the time left from what was read so far', () => {
    const { tracker, reports, at } = tracked();
    tracker.plan([{ id: 1, name: 'public.film', chunks: 2, bytes: 1000 }]);
    tracker.start(1, 2);
    at(2000);
    tracker.read(1, 250);
    expect(reports.at(-1)).toMatchObject({ percent: 25, etaMs: 6000 });
    expect(reports.at(-1)?.tables[0]).toMatchObject({ state: 'RUNNING', worker: 2 });
  });

  it('never falls, and stays below 100 until the end although the total was too small an estimate', () => {
    const { tracker, reports, at } = tracked();
    tracker.plan([{ id: 1, name: 'public.film', chunks: 2, bytes: 10 }]);
    at(1000);
    tracker.read(1, 500);
    expect(reports.at(-1)).toMatchObject({ percent: 99, bytesTotal: 500 });
  });

  it('names what failed', () => {
    const { tracker, reports } = tracked();
    tracker.plan([{ id: 1, name: 'public.film', chunks: 2, bytes: 10 }]);
    tracker.fail(1, new Error('gone'));
    tracker.phase('ending');
    expect(reports.at(-1)?.tables[0]).toMatchObject({ state: 'FAILED', error: 'gone' });
  });
});
