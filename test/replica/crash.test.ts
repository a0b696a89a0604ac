import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../support/random.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { contents, Follower, Primary, Wire } from './support.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 25);

test(`is equal in the end after ${ROUNDS} crashes anywhere in bootstrap, resync, repair and live`, {
  timeout: 120_000,
}, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  await using directory = await temporaryDirectory();
  const primary = await Primary.open(directory.path);
  await primary.insert(0, 1_500);
  await primary.insert(0, 40, 'schools');
  const seen = new Set<string>();
  let at = directory.path;
  let proven = false;

  for (let round = 0; round < ROUNDS; round++) {
    const wire = new Wire(() => primary.source);
    wire.pageRows = 50;
    wire.frameChanges = 20;
    const crashed = Promise.withResolvers<string>();
    let left = 1 + below(45);
    // Any answer may be the last one; so may any turn of the event loop after it.
    wire.before = () => {
      if (--left > 0) return;
      const turns = below(4);
      const crash = (): void => crashed.resolve(Follower.image(at, join(directory.path, `round${round}`)));
      if (turns === 0) crash();
      else setTimeout(crash, turns);
    };
    const follower = await Follower.open(at, [wire.address]);
    const writing = (async () => {
      for (let over = false; !over; ) {
        const id = below(1_800);
        if (random() < 0.15) await primary.delete(id);
        else await primary.write(id, { round, n: random() });
        if (random() < 0.01) await primary.log.trim(primary.log.head().sequence - below(40));
        seen.add(follower.replica.status().state);
        over = await Promise.race([
          crashed.promise.then(() => true),
          new Promise<false>((go) => setTimeout(go, below(3), false)),
        ]);
      }
    })();
    const next = await crashed.promise;
    await writing;
    const status = follower.replica.status();
    expect(['FORKED', 'FENCED', 'MISMATCHED', 'STOPPED'], `seed ${seed} round ${round}`).not.toContain(status.state);
    expect(proven && !status.proven, `seed ${seed} round ${round}: proven was taken back`).toBe(false);
    await follower.close();
    at = next;
    // A long absence: the log no longer reaches back to the cursor.
    if (random() < 0.2) {
      await primary.insert(2_000 + round * 100, 60);
      await primary.log.trim(primary.log.head().sequence);
    }
    const opened = await Follower.open(at, [{ name: 'none', connect: () => new Promise(() => {}) }]);
    proven ||= opened.replica.status().proven;
    await opened.close();
  }

  const wire = new Wire(() => primary.source);
  const follower = await Follower.open(at, [wire.address]);
  await follower.replica.ready;
  await follower.caughtUp(primary);
  expect(contents(follower.store), `seed ${seed}`).toEqual(contents(primary.store));
  expect(await follower.replica.verify({ deep: true }), `seed ${seed}`).toMatchObject({ equal: true });
  const entries = await follower.log.read(follower.log.floor() - 1, { maxChanges: 100_000, maxBytes: 1e9 });
  for (const entry of entries) {
    expect((await primary.log.entry(entry.sequence))?.chain ?? entry.chain, `seed ${seed}`).toBe(entry.chain);
  }
  await follower.close();
  await primary.close();
});
