/** What a replica is doing; SPEC.md section 2. */
export const StateName = {
  CONNECTING: 'CONNECTING',
  GREETING: 'GREETING',
  BOOTSTRAPPING: 'BOOTSTRAPPING',
  CATCHING_UP: 'CATCHING_UP',
  LIVE: 'LIVE',
  RESYNCING: 'RESYNCING',
  REPAIRING: 'REPAIRING',
  FORKED: 'FORKED',
  FENCED: 'FENCED',
  MISMATCHED: 'MISMATCHED',
  STOPPED: 'STOPPED',
} as const;
export type StateName = (typeof StateName)[keyof typeof StateName];

/** What remains to be done until the replica is equal to its source again. Durable. */
export const Task = { BOOTSTRAP: 'BOOTSTRAP', RESYNC: 'RESYNC', REPAIR: 'REPAIR' } as const;
export type Task = (typeof Task)[keyof typeof Task];

/** An operator's wish for a resync. FORCED also gives up what a fork or a higher epoch protects. */
export const Order = { RESYNC: 'RESYNC', FORCED: 'FORCED' } as const;
export type Order = (typeof Order)[keyof typeof Order];

/** The whole state of the machine. */
export interface State {
  readonly name: StateName;
  /** Digests were once equal at an exact position; never taken back. Durable. */
  readonly proven: boolean;
  readonly task: Task | null;
  /** A fork was seen and not decided. Durable. */
  readonly forked: boolean;
  /** Waits for the next hello. */
  readonly order: Order | null;
  /** Repairs begun since the digests were last equal. */
  readonly repairs: number;
}

/** What can happen. CONNECTED to MISMATCH come from the source, LOADED to BEHIND from our own work, the rest from outside. */
export type Event =
  | { readonly type: 'CONNECTED' | 'LOST' | 'RETRY' }
  | { readonly type: 'NEW' | 'RESYNC' | 'FORK' | 'FENCED' | 'MISMATCH' }
  /** `repair`: collections may have come into view, for the source's SDL changed; or rows here are of a history that ended. */
  | { readonly type: 'OK'; readonly repair: boolean }
  | { readonly type: 'LOADED' | 'PROVEN' | 'DIFFERS' | 'AT_HEAD' | 'BEHIND' }
  | { readonly type: 'ORDERED'; readonly order: Order }
  | { readonly type: 'STOP' };
export type EventType = Event['type'];

/** What is to be done, in order; each is explained where `effects.ts` has it performed. */
export const Effect = {
  CONNECT: 'CONNECT',
  GREET: 'GREET',
  RESET: 'RESET',
  FOLLOW: 'FOLLOW',
  LOAD: 'LOAD',
  PROVE: 'PROVE',
  SAVE: 'SAVE',
  LOCATE_FORK: 'LOCATE_FORK',
  ALARM: 'ALARM',
  CLOSE: 'CLOSE',
  BACK_OFF: 'BACK_OFF',
} as const;
export type Effect = (typeof Effect)[keyof typeof Effect];

/** The answer of the machine. */
export interface Transition {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** Repairs in a row after which an operator is told. */
export const ALARM_AFTER_REPAIRS = 5;

/** The state of a replica that was just opened, from what was stored. */
export function initialState(stored: Pick<State, 'proven' | 'task' | 'forked'>): Transition {
  const { proven, task, forked } = stored;
  return { state: { name: 'CONNECTING', proven, task, forked, order: null, repairs: 0 }, effects: ['CONNECT'] };
}

/** The transition of the machine: pure and total. An event that has no meaning in a state changes nothing. */
export function transition(state: State, event: Event): Transition {
  if (state.name === 'STOPPED') return unchanged(state);
  if (event.type === 'STOP') return { state: { ...state, name: 'STOPPED' }, effects: ['CLOSE'] };
  if (event.type === 'ORDERED') {
    return { state: { ...state, name: 'CONNECTING', order: event.order, repairs: 0 }, effects: ['CLOSE', 'CONNECT'] };
  }
  switch (state.name) {
    case 'CONNECTING':
      return connecting(state, event);
    case 'GREETING':
      return event.type === 'LOST' ? lost(state) : greeted(state, event);
    case 'FORKED':
    case 'FENCED':
    case 'MISMATCHED':
      return halted(state, event);
    case 'BOOTSTRAPPING':
    case 'RESYNCING':
    case 'REPAIRING':
      return loading(state, event);
    case 'CATCHING_UP':
    case 'LIVE':
      return following(state, event);
  }
}

function connecting(state: State, event: Event): Transition {
  switch (event.type) {
    case 'CONNECTED':
      return { state: { ...state, name: 'GREETING' }, effects: ['GREET'] };
    case 'LOST':
      return lost(state);
    case 'RETRY':
      return { state, effects: ['CONNECT'] };
    default:
      return unchanged(state);
  }
}

/** Frozen until the source, or an operator, says otherwise: hello is asked again without leaving the state. */
function halted(state: State, event: Event): Transition {
  switch (event.type) {
    case 'CONNECTED':
      return { state, effects: ['GREET'] };
    case 'LOST':
      return { state, effects: ['CLOSE', 'BACK_OFF'] };
    case 'RETRY':
      return { state, effects: ['CONNECT'] };
    default:
      return greeted(state, event);
  }
}

/** The answer to hello. */
function greeted(state: State, event: Event): Transition {
  switch (event.type) {
    case 'NEW':
      return begin(state, 'BOOTSTRAP');
    case 'OK':
      return state.order === null ? resume(state, event.repair) : begin(state, 'RESYNC');
    case 'RESYNC':
      // A source trimmed past the fork can only say RESYNC: it is still a fork.
      return state.forked && !overrides(state, 'FORK') ? halt(state, 'FORKED') : begin(state, 'RESYNC');
    case 'FORK':
      return overrides(state, 'FORK') ? begin(state, 'RESYNC') : halt(state, 'FORKED');
    case 'FENCED':
      return overrides(state, 'FENCED') ? begin(state, 'RESYNC') : halt(state, 'FENCED');
    case 'MISMATCH':
      return halt(state, 'MISMATCHED');
    default:
      return unchanged(state);
  }
}

/** Pages or differences are being fetched, or compared, while frames are applied. */
function loading(state: State, event: Event): Transition {
  switch (event.type) {
    case 'LOADED':
      return { state, effects: ['PROVE'] };
    case 'PROVEN':
      return {
        state: { ...state, name: 'CATCHING_UP', proven: true, task: null, repairs: 0 },
        effects: ['SAVE'],
      };
    case 'DIFFERS':
      return repair(state);
    default:
      return streaming(state, event);
  }
}

function following(state: State, event: Event): Transition {
  switch (event.type) {
    case 'AT_HEAD':
      return { state: { ...state, name: 'LIVE' }, effects: [] };
    case 'BEHIND':
      return { state: { ...state, name: 'CATCHING_UP' }, effects: [] };
    case 'DIFFERS':
      return repair(state);
    default:
      return streaming(state, event);
  }
}

/** What ends a subscription. */
function streaming(state: State, event: Event): Transition {
  switch (event.type) {
    case 'LOST':
      return lost(state);
    case 'FORK':
      // Never proven: nothing to freeze. The next hello says FORK as well and starts anew.
      return state.proven ? halt(state, 'FORKED') : lost(state);
    case 'FENCED':
      return halt(state, 'FENCED');
    default:
      return unchanged(state);
  }
}

/** Goes on from the stored cursor with whatever was left to do. */
function resume(state: State, needsRepair: boolean): Transition {
  const task = state.task ?? (needsRepair ? 'REPAIR' : null);
  const next: State = { ...state, name: nameOf(task), task, forked: false };
  const effects: Effect[] = [];
  if (task !== state.task || state.forked) effects.push('SAVE');
  effects.push('FOLLOW');
  if (task !== null) effects.push('LOAD');
  return { state: next, effects };
}

/** Starts from the source's head. */
function begin(state: State, task: Task): Transition {
  return {
    state: { ...state, name: nameOf(task), task, forked: false, order: null },
    effects: ['RESET', 'FOLLOW', 'LOAD'],
  };
}

function repair(state: State): Transition {
  const repairs = state.repairs + 1;
  return {
    state: { ...state, name: 'REPAIRING', task: 'REPAIR', repairs },
    effects: repairs % ALARM_AFTER_REPAIRS === 0 ? ['SAVE', 'ALARM', 'LOAD'] : ['SAVE', 'LOAD'],
  };
}

function lost(state: State): Transition {
  return { state: { ...state, name: 'CONNECTING' }, effects: ['CLOSE', 'BACK_OFF'] };
}

/** Freezes; an order that could not be carried out is dropped. */
function halt(state: State, name: 'FORKED' | 'FENCED' | 'MISMATCHED'): Transition {
  if (name !== 'FORKED' || (state.name === 'FORKED' && state.forked)) {
    return { state: { ...state, name, order: null }, effects: ['CLOSE', 'BACK_OFF'] };
  }
  return {
    state: { ...state, name, forked: true, order: null },
    effects: ['SAVE', 'LOCATE_FORK', 'CLOSE', 'BACK_OFF'],
  };
}

/**
 * Whether to start from the source's head although it says FORK or FENCED: an order wants it. A fork also when there is
 * nothing here that was ever served; a higher epoch, once seen, means that another source is the right one.
 */
export function overrides({ order, proven }: Pick<State, 'order' | 'proven'>, answer: 'FORK' | 'FENCED'): boolean {
  return order === 'FORCED' || (answer === 'FORK' && !proven);
}

/** Frozen until the source, or an operator, says otherwise. */
export function isHalted({ name }: Pick<State, 'name'>): boolean {
  return name === 'FORKED' || name === 'FENCED' || name === 'MISMATCHED';
}

function nameOf(task: Task | null): StateName {
  if (task === null) return 'CATCHING_UP';
  return task === 'BOOTSTRAP' ? 'BOOTSTRAPPING' : task === 'RESYNC' ? 'RESYNCING' : 'REPAIRING';
}

function unchanged(state: State): Transition {
  return { state, effects: [] };
}
