import { expect, it } from 'vitest';
import { Fencing } from '../../src/gateway/fencing.ts';
import { Fence } from '../../src/service/fence.ts';
import { PrimaryService } from '../../src/service/primary.ts';
import type { Store } from '../../src/store/store.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { primaryHarness, writing } from '../service/harness.ts';
import { settle } from '../support/manual-clock.ts';

it('keeps what only this node has once the writes that had begun are over', async () => {
  await using harness = await primaryHarness();
  const { database, log } = harness;
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  // A database of its own does not know of the fence.
  const store: Store = Object.create(harness.store, {
    collection: {
      value: (name: string) => {
        const collection = harness.store.collection(name);
        const insertOne = async (...args: Parameters<typeof collection.insertOne>) => {
          begun.resolve();
          await gate.promise;
          return collection.insertOne(...args);
        };
        return Object.create(collection, { insertOne: { value: insertOne } });
      },
    },
  });
  const fence = await Fence.open({ database });
  const kept: { readonly from: number; readonly head: number }[] = [];
  const fencing = new Fencing({
    ...{ fence, logger: createLogger({ level: 'silent' }), onFenced: () => {} },
    keep: async (from) => {
      kept.push({ from, head: log.head().sequence });
      return null;
    },
  });
  const service = new PrimaryService({ store, log, fence });
  const thing = harness.entity('Thing');
  const written = service.create(thing, { n: 1 }, writing('createThing'));
  await begun.promise;
  await fencing.raise(2, 1);
  await settle();
  expect(kept).toEqual([]);
  await expect(service.create(thing, { n: 2 }, writing('createThing'))).rejects.toMatchObject({ code: 'FENCED' });
  gate.resolve();
  expect(await written).toMatchObject({ outcome: 'COMMITTED', position: { sequence: 1 } });
  await fencing.settled();
  expect(kept).toEqual([{ from: 1, head: 1 }]);
});
