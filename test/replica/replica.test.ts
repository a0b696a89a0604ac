import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary.ts';
import { contents, Follower, Primary, Wire } from './support.ts';

test('copies a source that is written to meanwhile, proves it, and follows', async () => {
  await using directory = await temporaryDirectory();
  const primary = await Primary.open(directory.path);
  await primary.insert(0, 2_500);
  await primary.insert(0, 30, 'schools');
  const wire = new Wire(() => primary.source);
  const follower = await Follower.open(directory.path, [wire.address]);
  for (let n = 0; n < 300; n++) {
    await primary.write(n * 7, { round: n });
    if (n % 10 === 0) await primary.delete(n * 7 + 1);
  }
  await follower.replica.ready;
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  expect(follower.replica.status()).toMatchObject({
    state: 'LIVE',
    proven: true,
    task: null,
    message: null,
    lagChanges: 0,
  });
  await primary.write(99_999);
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  expect(await follower.replica.verify({ deep: true })).toMatchObject({ equal: true, differences: [] });
  await follower.close();
  await primary.close();
});
