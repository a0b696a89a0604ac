import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deadline } from '../../src/server/deadline.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('hands over what stays longer than the limit, each in its time', () => {
  const over: string[] = [];
  const deadline = new Deadline<string>(100, (entry) => over.push(entry));
  deadline.add('a');
  vi.advanceTimersByTime(40);
  deadline.add('b');
  deadline.add('c');
  deadline.delete('b');
  vi.advanceTimersByTime(59);
  expect(over).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(over).toEqual(['a']);
  vi.advanceTimersByTime(40);
  expect(over).toEqual(['a', 'c']);
  deadline.add('d');
  vi.advanceTimersByTime(100);
  expect(over).toEqual(['a', 'c', 'd']);
  expect(vi.getTimerCount()).toBe(0);
});

test('one timer serves all', () => {
  const deadline = new Deadline<number>(100, () => {});
  for (let n = 0; n < 1000; n++) deadline.add(n);
  expect(vi.getTimerCount()).toBe(1);
});

test('an infinite limit is none', () => {
  const deadline = new Deadline<number>(Number.POSITIVE_INFINITY, () => {});
  deadline.add(1);
  expect(vi.getTimerCount()).toBe(0);
});
