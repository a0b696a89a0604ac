import { expect, test } from 'vitest';
import { InProcessPubSub } from '../../src/pubsub/in-process.ts';

test('a notice reaches everybody who listens to its topic, nobody else', async () => {
  const pubsub = new InProcessPubSub();
  const heard: string[] = [];
  await pubsub.subscribe('log', (message) => heard.push(`a ${message}`));
  await pubsub.subscribe('log', (message) => heard.push(`b ${message}`));
  await pubsub.subscribe('status', (message) => heard.push(`c ${message}`));
  await pubsub.publish('log', '1.7');
  expect(heard).toEqual(['a 1.7', 'b 1.7']);
});

test('a listener may be given twice, and each subscription ends on its own', async () => {
  const pubsub = new InProcessPubSub();
  const heard: string[] = [];
  const listener = (message: string): void => void heard.push(message);
  const end = await pubsub.subscribe('log', listener);
  await pubsub.subscribe('log', listener);
  end();
  end();
  await pubsub.publish('log', 'x');
  expect(heard).toEqual(['x']);
});

test('a listener that ends its subscription while it is called disturbs nobody', async () => {
  const pubsub = new InProcessPubSub();
  const heard: string[] = [];
  const end = await pubsub.subscribe('log', () => end());
  await pubsub.subscribe('log', (message) => heard.push(message));
  await pubsub.publish('log', 'x');
  expect(heard).toEqual(['x']);
});

test('nobody hears anything after closing, and publishing for nobody is no error', async () => {
  const pubsub = new InProcessPubSub();
  const heard: string[] = [];
  await pubsub.subscribe('log', (message) => heard.push(message));
  await pubsub.close();
  await pubsub.publish('log', 'x');
  expect(heard).toEqual([]);
});
