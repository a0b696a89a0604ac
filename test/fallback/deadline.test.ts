import { describe, expect, it } from 'vitest';
import { Budget, DeadlineError, Deadlines } from '../../src/fallback/deadline.ts';
import { ManualClock } from '../support/manual-clock.ts';

const never = (): Promise<never> => new Promise(() => {});

function setUp() {
  const clock = new ManualClock();
  return { clock, deadlines: new Deadlines<string>({ clock }) };
}

describe('Deadlines', () => {
  it('gives what the work gives, and forgets it', async () => {
    const { clock, deadlines } = setUp();
    expect(await deadlines.run({ tag: 'a', ms: 400 }, async () => 42)).toBe(42);
    expect(deadlines.size).toBe(0);
    await clock.advance(20);
    expect(clock.timers).toBe(0);
  });

  it('ends a call that hangs within one tick after its time, and frees what it holds', async () => {
    const { clock, deadlines } = setUp();
    let inner: AbortSignal | undefined;
    const call = deadlines.run({ tag: 'a', ms: 400 }, (signal) => {
      inner = signal;
      return never();
    });
    const ended = expect(call).rejects.toThrow(DeadlineError);
    await clock.advance(400);
    expect(inner?.aborted).toBe(true);
    await ended;
    expect(deadlines.size).toBe(0);
  });

  it('keeps one timer for many calls', () => {
    const { clock, deadlines } = setUp();
    for (let call = 0; call < 100; call++) void deadlines.run({ tag: 'a', ms: 400 }, never).catch(() => {});
    expect(clock.timers).toBe(1);
  });

  it('ends the calls of a tag at once', async () => {
    const { deadlines } = setUp();
    const [a, b] = ['a', 'b'].map((tag) => deadlines.run({ tag, ms: 400 }, never));
    b?.catch(() => {});
    expect(
      deadlines.end(
        (tag) => tag === 'a',
        () => new Error('rescued'),
      ),
    ).toBe(1);
    await expect(a).rejects.toThrow('rescued');
    expect(deadlines.size).toBe(1);
  });

  it('ends with the signal of its caller', async () => {
    const { deadlines } = setUp();
    const gone = new AbortController();
    const call = deadlines.run({ tag: 'a', ms: 400, signal: gone.signal }, never);
    gone.abort(new Error('client gone'));
    await expect(call).rejects.toThrow('client gone');
    await expect(deadlines.run({ tag: 'a', ms: 400, signal: gone.signal }, async () => 1)).rejects.toThrow(
      'client gone',
    );
    expect(deadlines.size).toBe(0);
  });

  it('passes on what the work throws at once', async () => {
    const { deadlines } = setUp();
    const failing = deadlines.run({ tag: 'a', ms: 400 }, () => {
      throw new RangeError('bad');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(deadlines.size).toBe(0);
  });

  it('gives a call another moment when this process stood still, and then says so', async () => {
    const timers: (() => void)[] = [];
    let now = 0;
    const after = (_ms: number, task: () => void): (() => void) => {
      timers.push(task);
      return () => {};
    };
    const clock = { now: () => now, after, every: after, soon: setImmediate };
    const deadlines = new Deadlines<string>({ clock });
    const answered = deadlines.run(
      { tag: 'a', ms: 400 },
      () => new Promise((resolve) => setImmediate(resolve, 'late')),
    );
    const hanging = deadlines.run({ tag: 'b', ms: 400 }, never);
    now = 2_000;
    timers.shift()?.();
    expect(await answered).toBe('late');
    now = 2_010;
    timers.shift()?.();
    now = 2_050;
    timers.shift()?.();
    await expect(hanging).rejects.toMatchObject({ name: 'DeadlineError', stalled: true });
  });
});

describe('Budget', () => {
  it('counts time with calls under way, once however many there are', () => {
    let now = 0;
    const budget = new Budget(400, () => now);
    budget.begin();
    budget.begin();
    now = 100;
    budget.end();
    expect(budget.leftMs).toBe(300);
    now = 150;
    budget.end();
    now = 10_000;
    expect(budget.leftMs).toBe(250);
    budget.begin();
    now = 11_000;
    expect(budget.leftMs).toBe(0);
  });
});
