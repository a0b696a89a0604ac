import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import type { Hello } from '../../src/protocol/sync-source.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { Follower, Primary, pair, SCHEMA, Wire } from './support.ts';

test('a replica that was given an SDL does not follow a source with another one', async () => {
  await using directory = await temporaryDirectory();
  const primary = await Primary.open(directory.path);
  const wire = new Wire(() => primary.source);
  const schema = { sdl: 'type Other @entity { id: ID! @id }', sdlHash: 'b'.repeat(32) };
  const follower = await Follower.open(directory.path, [wire.address], { schema });
  await eventually('MISMATCHED', () => follower.replica.status().state === 'MISMATCHED');
  expect(follower.replica.isReady()).toBe(false);
  expect(follower.log.head().sequence).toBe(0);
  await follower.close();
  const same = await Follower.open(directory.path, [wire.address], { schema: SCHEMA });
  await same.replica.ready;
  await same.close();
  await primary.close();
});

test('adopts the SDL of the source, keeps it over a restart, and compares everything when it changed', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 10);
  expect(follower.replica.status().sdlHash).toBe(SCHEMA.sdlHash);
  expect(follower.stores).toHaveLength(1);
  await follower.close();
  const states: string[] = [];
  wire.alter = (call, answer) =>
    call === 'hello' ? { ...(answer as Hello), sdl: 'new', sdlHash: 'c'.repeat(32) } : answer;
  const again = await Follower.open(directory.path, [wire.address]);
  expect(again.stores).toHaveLength(1);
  wire.before = () => void states.push(again.replica.status().state);
  await again.caughtUp(primary);
  expect(again.stores).toHaveLength(2);
  expect(states).toContain('REPAIRING');
  expect(again.replica.status().sdlHash).toBe('c'.repeat(32));
  await again.close();
  await primary.close();
});

test('writes into the store that was prepared last, also when the connection ended meanwhile', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 10);
  await follower.close();
  wire.alter = (call, answer) => (call === 'hello' ? { ...(answer as Hello), sdlHash: 'd'.repeat(32) } : answer);
  const again: Follower = await Follower.open(directory.path, [wire.address], {
    admit: ({ sdlHash }) => {
      if (sdlHash === SCHEMA.sdlHash) return;
      // The next hello is that of a source with the SDL of before.
      wire.alter = (_call, answer) => answer;
      again.replica.resync();
    },
  });
  await eventually('the other SDL was prepared', () => again.stores.length >= 2);
  await primary.write(99);
  await again.caughtUp(primary);
  expect(again.replica.status().sdlHash).toBe(SCHEMA.sdlHash);
  expect(again.store.buckets('teachers').digest()).toEqual(primary.store.buckets('teachers').digest());
  await again.close();
  await primary.close();
});

test('an SDL this version cannot read leaves the old data served, and is tried again', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 10);
  await follower.close();
  wire.alter = (call, answer) => (call === 'hello' ? { ...(answer as Hello), sdlHash: 'd'.repeat(32) } : answer);
  let refused = 0;
  const again = await Follower.open(directory.path, [wire.address], {
    admit: ({ sdlHash }) => {
      if (sdlHash === SCHEMA.sdlHash) return;
      refused += 1;
      throw new HoldfastError('SCHEMA_INVALID', 'line 1: no');
    },
  });
  await eventually('two tries', () => refused >= 2);
  expect(again.replica.isReady()).toBe(true);
  expect(again.replica.status()).toMatchObject({ message: 'SCHEMA_INVALID: line 1: no', sdlHash: SCHEMA.sdlHash });
  wire.alter = (_call, answer) => answer;
  await primary.write(99);
  await again.caughtUp(primary);
  await again.close();
  await primary.close();
});
