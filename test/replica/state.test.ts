import { expect, test } from 'vitest';
import {
  ALARM_AFTER_REPAIRS,
  type Effect,
  type Event,
  type EventType,
  initialState,
  type State,
  StateName,
  type Task,
  transition,
} from '../../replica/state.ts';
import { seededRandom } from '../support/random.ts';

/** What a cell of the table says: nothing happens, or the next state with its effects. */
type Cell = null | readonly [StateName, ...Effect[]];
/** Every event in every state: a missing cell does not compile. */
type Table = Record<StateName, Record<EventType, Cell>>;

/** The state each row of the table starts from: a replica proven before, without an order. */
const ROW: Record<StateName, Partial<State>> = {
  CONNECTING: {},
  GREETING: {},
  BOOTSTRAPPING: { proven: false, task: 'BOOTSTRAP' },
  CATCHING_UP: {},
  LIVE: {},
  RESYNCING: { task: 'RESYNC' },
  REPAIRING: { task: 'REPAIR', repairs: 1 },
  FORKED: { forked: true },
  FENCED: {},
  MISMATCHED: {},
  STOPPED: {},
};

const EVENT: Record<EventType, Event> = {
  CONNECTED: { type: 'CONNECTED' },
  LOST: { type: 'LOST' },
  RETRY: { type: 'RETRY' },
  NEW: { type: 'NEW' },
  OK: { type: 'OK', repair: false },
  RESYNC: { type: 'RESYNC' },
  FORK: { type: 'FORK' },
  FENCED: { type: 'FENCED' },
  MISMATCH: { type: 'MISMATCH' },
  LOADED: { type: 'LOADED' },
  PROVEN: { type: 'PROVEN' },
  DIFFERS: { type: 'DIFFERS' },
  AT_HEAD: { type: 'AT_HEAD' },
  BEHIND: { type: 'BEHIND' },
  ORDERED: { type: 'ORDERED', order: 'RESYNC' },
  STOP: { type: 'STOP' },
};

const RETRY = ['CLOSE', 'BACK_OFF'] as const;
const BEGIN = ['RESET', 'FOLLOW', 'LOAD'] as const;
const FREEZE = ['SAVE', 'LOCATE_FORK', 'CLOSE', 'BACK_OFF'] as const;

/** Events that mean the same wherever a connection may exist. */
const ALWAYS = { ORDERED: ['CONNECTING', 'CLOSE', 'CONNECT'], STOP: ['STOPPED', 'CLOSE'] } as const;
const GREETED = {
  NEW: ['BOOTSTRAPPING', ...BEGIN],
  OK: ['CATCHING_UP', 'FOLLOW'],
  RESYNC: ['RESYNCING', ...BEGIN],
  FORK: ['FORKED', ...FREEZE],
  FENCED: ['FENCED', ...RETRY],
  MISMATCH: ['MISMATCHED', ...RETRY],
} as const;
const NOT_GREETED = { NEW: null, OK: null, RESYNC: null, MISMATCH: null } as const;
const NOT_STREAMING = { LOADED: null, PROVEN: null, DIFFERS: null, AT_HEAD: null, BEHIND: null } as const;

function loadingRow(name: StateName): Record<EventType, Cell> {
  const unproven = name === 'BOOTSTRAPPING';
  return {
    ...ALWAYS,
    ...NOT_GREETED,
    CONNECTED: null,
    RETRY: null,
    LOST: ['CONNECTING', ...RETRY],
    FORK: unproven ? ['CONNECTING', ...RETRY] : ['FORKED', ...FREEZE],
    FENCED: ['FENCED', ...RETRY],
    LOADED: [name, 'PROVE'],
    PROVEN: ['CATCHING_UP', 'SAVE'],
    DIFFERS: ['REPAIRING', 'SAVE', 'LOAD'],
    AT_HEAD: null,
    BEHIND: null,
  };
}

function followingRow(name: StateName): Record<EventType, Cell> {
  return {
    ...ALWAYS,
    ...NOT_GREETED,
    CONNECTED: null,
    RETRY: null,
    LOST: ['CONNECTING', ...RETRY],
    FORK: ['FORKED', ...FREEZE],
    FENCED: ['FENCED', ...RETRY],
    LOADED: null,
    PROVEN: null,
    DIFFERS: ['REPAIRING', 'SAVE', 'LOAD'],
    AT_HEAD: name === 'LIVE' ? null : ['LIVE'],
    BEHIND: name === 'LIVE' ? ['CATCHING_UP'] : null,
  };
}

function haltedRow(name: StateName): Record<EventType, Cell> {
  return {
    ...ALWAYS,
    ...GREETED,
    ...NOT_STREAMING,
    CONNECTED: [name, 'GREET'],
    RETRY: [name, 'CONNECT'],
    LOST: [name, ...RETRY],
  };
}

const TABLE: Table = {
  CONNECTING: {
    ...ALWAYS,
    ...NOT_GREETED,
    ...NOT_STREAMING,
    FORK: null,
    FENCED: null,
    CONNECTED: ['GREETING', 'GREET'],
    RETRY: ['CONNECTING', 'CONNECT'],
    LOST: ['CONNECTING', ...RETRY],
  },
  GREETING: {
    ...ALWAYS,
    ...GREETED,
    ...NOT_STREAMING,
    CONNECTED: null,
    RETRY: null,
    LOST: ['CONNECTING', ...RETRY],
  },
  BOOTSTRAPPING: loadingRow('BOOTSTRAPPING'),
  CATCHING_UP: followingRow('CATCHING_UP'),
  LIVE: followingRow('LIVE'),
  RESYNCING: loadingRow('RESYNCING'),
  REPAIRING: loadingRow('REPAIRING'),
  FORKED: {
    ...haltedRow('FORKED'),
    // Trimmed past the fork, the source can only say RESYNC.
    OK: ['CATCHING_UP', 'SAVE', 'FOLLOW'],
    RESYNC: ['FORKED', ...RETRY],
    FORK: ['FORKED', ...RETRY],
  },
  FENCED: haltedRow('FENCED'),
  MISMATCHED: haltedRow('MISMATCHED'),
  STOPPED: {
    ...NOT_GREETED,
    ...NOT_STREAMING,
    CONNECTED: null,
    LOST: null,
    RETRY: null,
    FORK: null,
    FENCED: null,
    ORDERED: null,
    STOP: null,
  },
};

function stateOf(name: StateName, changes: Partial<State> = {}): State {
  return { name, proven: true, task: null, forked: false, order: null, repairs: 0, ...ROW[name], ...changes };
}

for (const name of Object.values(StateName)) {
  for (const type of Object.keys(EVENT) as EventType[]) {
    const cell = TABLE[name][type];
    test(`${name} on ${type} ${cell === null ? 'changes nothing' : `becomes ${cell.join(' ')}`}`, () => {
      const before = stateOf(name);
      const after = transition(before, EVENT[type]);
      if (cell === null) expect(after).toEqual({ state: before, effects: [] });
      else expect([after.state.name, ...after.effects]).toEqual(cell);
    });
  }
}

test.each<[Task, StateName]>([
  ['BOOTSTRAP', 'BOOTSTRAPPING'],
  ['RESYNC', 'RESYNCING'],
  ['REPAIR', 'REPAIRING'],
])('goes on with an unfinished %s after a restart', (task, name) => {
  const opened = initialState({ proven: task !== 'BOOTSTRAP', task, forked: false });
  expect(opened.effects).toEqual(['CONNECT']);
  const greeting = transition(opened.state, EVENT.CONNECTED);
  const after = transition(greeting.state, EVENT.OK);
  expect(after.state.name).toBe(name);
  expect(after.effects).toEqual(['FOLLOW', 'LOAD']);
});

test('compares everything again when the SDL of the source changed', () => {
  const after = transition(stateOf('GREETING'), { type: 'OK', repair: true });
  expect(after.state).toMatchObject({ name: 'REPAIRING', task: 'REPAIR' });
  expect(after.effects).toEqual(['SAVE', 'FOLLOW', 'LOAD']);
});

test('a forced order overrides a fork and a fence, an ordinary one does not', () => {
  for (const type of ['FORK', 'FENCED'] as const) {
    const forced = transition(stateOf('GREETING', { order: 'FORCED', forked: true }), EVENT[type]);
    expect(forced.state).toMatchObject({ name: 'RESYNCING', order: null, forked: false });
    expect(forced.effects).toEqual(BEGIN);
    const plain = transition(stateOf('GREETING', { order: 'RESYNC' }), EVENT[type]);
    expect(plain.state).toMatchObject({ name: type === 'FORK' ? 'FORKED' : 'FENCED', order: null });
  }
});

test('an order turns OK into a resync', () => {
  const after = transition(stateOf('GREETING', { order: 'RESYNC' }), EVENT.OK);
  expect([after.state.name, ...after.effects]).toEqual(['RESYNCING', ...BEGIN]);
});

test('a fork is remembered over a restart although the source now says RESYNC', () => {
  const opened = initialState({ proven: true, task: null, forked: true });
  const greeting = transition(opened.state, EVENT.CONNECTED);
  expect(transition(greeting.state, EVENT.RESYNC).state.name).toBe('FORKED');
});

test('a replica that was never proven starts again instead of freezing', () => {
  const greeting = stateOf('GREETING', { proven: false, task: 'BOOTSTRAP' });
  expect(transition(greeting, EVENT.FORK).state).toMatchObject({ name: 'RESYNCING', task: 'RESYNC', proven: false });
  expect(transition(greeting, EVENT.FENCED).state.name).toBe('FENCED');
});

test('raises the alarm after repairs in a row, and forgets them once equal', () => {
  let state = stateOf('LIVE');
  const alarms: number[] = [];
  for (let round = 1; round <= 2 * ALARM_AFTER_REPAIRS; round++) {
    const after = transition(state, EVENT.DIFFERS);
    if (after.effects.includes('ALARM')) alarms.push(round);
    state = after.state;
  }
  expect(alarms).toEqual([ALARM_AFTER_REPAIRS, 2 * ALARM_AFTER_REPAIRS]);
  expect(transition(state, EVENT.PROVEN).state).toMatchObject({ repairs: 0, task: null });
});

/** The events each kind of work under way may raise. */
const RAISES: Record<string, readonly EventType[]> = {
  CONNECT: ['CONNECTED', 'LOST'],
  GREET: ['NEW', 'OK', 'RESYNC', 'FORK', 'FENCED', 'MISMATCH', 'LOST'],
  FOLLOW: ['AT_HEAD', 'BEHIND', 'DIFFERS', 'FORK', 'FENCED', 'LOST'],
  LOAD: ['LOADED', 'LOST'],
  PROVE: ['PROVEN', 'DIFFERS', 'LOST'],
  BACK_OFF: ['RETRY'],
};
const ENDS: ReadonlySet<EventType> = new Set([
  'CONNECTED',
  'NEW',
  'OK',
  'RESYNC',
  'MISMATCH',
  'LOADED',
  'PROVEN',
  'RETRY',
]);

test('random histories keep the invariants', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  const random = seededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  for (let history = 0; history < 500; history++) {
    let { state, effects } = initialState({ proven: false, task: null, forked: false });
    let under: Effect[] = [...effects];
    for (let step = 0; step < 60; step++) {
      const trace = `seed ${seed} history ${history} step ${step} in ${JSON.stringify(state)}`;
      const before = state;
      let event: Event;
      if (random() < 0.03) event = { type: 'ORDERED', order: pick(['RESYNC', 'FORCED'] as const) };
      else {
        const work = pick(under);
        const type = pick(RAISES[work] as readonly EventType[]);
        event = type === 'OK' ? { type, repair: random() < 0.2 } : EVENT[type];
        // A source that has a cursor of ours never answers NEW, and the other way round.
        if (state.task === null && !state.proven && work === 'GREET' && type !== 'LOST' && type !== 'MISMATCH')
          event = EVENT.NEW;
        else if (type === 'NEW') event = EVENT.OK;
        if (ENDS.has(type) || (type === 'DIFFERS' && work === 'PROVE')) under = under.filter((other) => other !== work);
      }
      ({ state, effects } = transition(state, event));
      for (const effect of effects) {
        if (effect === 'CLOSE') under = [];
        else if (effect in RAISES) under.push(effect);
      }

      expect(before.proven && !state.proven, trace).toBe(false);
      if (state.name === 'LIVE' || state.name === 'CATCHING_UP') {
        expect([state.proven, state.task], trace).toEqual([true, null]);
      }
      if (state.name === 'BOOTSTRAPPING') expect([state.proven, state.task], trace).toEqual([false, 'BOOTSTRAP']);
      if (state.name === 'RESYNCING') expect(state.task, trace).toBe('RESYNC');
      if (state.name === 'REPAIRING') expect(state.task, trace).toBe('REPAIR');
      if (state.forked && effects.includes('RESET')) expect.fail(trace);
      // Only OK proves that the source's history is ours after all.
      if (before.forked && before.proven && effects.includes('RESET') && event.type !== 'OK')
        expect(before.order, trace).toBe('FORCED');
      if (effects.includes('RESET')) expect(effects, trace).toEqual(BEGIN);
      expect(under.filter((work) => work === 'FOLLOW').length, trace).toBeLessThanOrEqual(1);
      expect(
        under.filter((work) => work === 'CONNECT' || work === 'GREET' || work === 'BACK_OFF').length,
        trace,
      ).toBeLessThanOrEqual(1);
      expect(under.length, `nothing is under way: ${trace}`).toBeGreaterThan(0);
      expect(
        ['FOLLOW', 'CONNECT', 'GREET', 'BACK_OFF'].some((work) => under.includes(work as Effect)),
        trace,
      ).toBe(true);
    }
    expect(transition(state, EVENT.STOP).state.name).toBe('STOPPED');
  }
});
