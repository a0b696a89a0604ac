import { type BreakerSettings, DEFAULT_BREAKER } from './breaker-settings.ts';
import { CallWindow } from './call-window.ts';
import type { Evidence } from './classify.ts';
import { type Operation, type Scope, scopeName } from './scope.ts';

export const BreakerState = {
  /** Calls go to the database. */
  CLOSED: 'CLOSED',
  /** Calls are kept from it; it is probed in the background. */
  OPEN: 'OPEN',
  /** It answers again; what waited for it is brought to it before calls are let through. */
  RECOVERING: 'RECOVERING',
} as const;
export type BreakerState = (typeof BreakerState)[keyof typeof BreakerState];

/** Something that happened. Times are those of one monotonic clock, in ms. */
export type BreakerEvent =
  | { readonly type: 'SUCCEEDED'; readonly collection: string; readonly operation: Operation }
  | {
      readonly type: 'FAILED';
      readonly collection: string;
      readonly operation: Operation;
      readonly evidence: Evidence;
      /** When the call began. */
      readonly sinceMs: number;
      readonly cause: string;
    }
  /** The end of the probe `number`. One that says nothing, because this process stood still, is `inconclusive`. */
  | {
      readonly type: 'PROBED';
      readonly scope: Scope;
      readonly number: number;
      readonly result: 'OK' | 'FAILED' | 'INCONCLUSIVE';
      readonly cause?: string;
    }
  /** What waited for the scope was brought to the database, or could not be. */
  | { readonly type: 'RECOVERED'; readonly scope: Scope; readonly ok: boolean }
  /** The database is known to be away: it was never reached, or every server of it is gone. */
  | { readonly type: 'LOST'; readonly cause: string }
  | { readonly type: 'FORCE'; readonly scope: Scope; readonly state: 'OPEN' | 'CLOSED' }
  | { readonly type: 'RELEASE'; readonly scope: Scope }
  | { readonly type: 'TICK' };

/** Something to be done by who runs the breaker. */
export type BreakerEffect =
  /** Calls of the scope are kept from the database from now on; those under way are to be rescued. `sinceMs`: when the trouble began. */
  | { readonly type: 'OPENED'; readonly scope: Scope; readonly cause: string; readonly sinceMs: number }
  | { readonly type: 'CLOSED'; readonly scope: Scope }
  /** Ask the database, with a deadline, and report PROBED. Never two at once in a scope. */
  | { readonly type: 'PROBE'; readonly scope: Scope; readonly number: number }
  /** Bring to the database what waited for it, and report RECOVERED. */
  | { readonly type: 'RECOVER'; readonly scope: Scope };

/** How one scope is. */
export interface ScopeStatus {
  readonly scope: Scope;
  /** {@link scopeName} of it. */
  readonly name: string;
  readonly state: BreakerState;
  readonly forced: 'OPEN' | 'CLOSED' | null;
  /** Why it is open; null when it is not. */
  readonly cause: string | null;
}

interface Probe {
  readonly number: number;
  readonly startedMs: number;
}

/** One scope and all that is known of it. */
class Node {
  readonly scope: Scope;
  readonly calls: CallWindow;
  state: BreakerState = BreakerState.CLOSED;
  forced: 'OPEN' | 'CLOSED' | null = null;
  cause: string | null = null;
  /** Failures since the last success, and when the first of them began. */
  failures = 0;
  failingSinceMs = 0;
  probe: Probe | null = null;
  probes = 0;
  goodProbes = 0;
  probeMs = 0;
  nextProbeMs = 0;
  openedMs = Number.NEGATIVE_INFINITY;
  closedMs = Number.NEGATIVE_INFINITY;
  heldUntilMs = 0;
  flaps = 0;

  constructor(scope: Scope, windowMs: number) {
    this.scope = scope;
    this.calls = new CallWindow(windowMs);
  }
}

/** The nodes of one collection. */
interface Family {
  readonly whole: Node;
  readonly READ: Node;
  readonly WRITE: Node;
}

/**
 * Decides which calls go to the database. A state machine without time or input of its own: events go in with the time they
 * happened at, effects come out for others to carry out. SPEC.md has states, transitions and invariants.
 */
export class Breaker {
  readonly #settings: BreakerSettings;
  readonly #random: () => number;
  readonly #database: Node;
  readonly #families = new Map<string, Family>();
  /** Nodes that are not CLOSED, or being probed. */
  readonly #active = new Set<Node>();
  #effects: BreakerEffect[] = [];

  /** `random` is in [0, 1): so that several gateways do not probe in step. */
  constructor(settings: Partial<BreakerSettings> = {}, random: () => number = Math.random) {
    this.#settings = { ...DEFAULT_BREAKER, ...settings };
    this.#random = random;
    this.#database = new Node({}, this.#settings.windowMs);
  }

  /** Whether a call may go to the database now. */
  admits(collection: string, operation: Operation): boolean {
    const family = this.#families.get(collection);
    const node = family?.[operation];
    const forced = node?.forced ?? family?.whole.forced ?? this.#database.forced;
    if (forced !== null && forced !== undefined) return forced === 'CLOSED';
    return this.#database.state === 'CLOSED' && (node === undefined || node.state === 'CLOSED');
  }

  /** Takes in an event that happened at `now`; returns what is to be done. */
  step(event: BreakerEvent, now: number): readonly BreakerEffect[] {
    switch (event.type) {
      case 'SUCCEEDED':
        this.#succeeded(this.#family(event.collection)[event.operation], now);
        break;
      case 'FAILED':
        this.#failed(event, now);
        break;
      case 'PROBED':
        this.#probed(event, now);
        break;
      case 'RECOVERED':
        this.#recovered(this.#node(event.scope), event.ok, now);
        break;
      case 'LOST':
        if (this.#database.state === 'CLOSED') this.#open(this.#database, event.cause, now, now);
        break;
      case 'FORCE':
        this.#force(this.#node(event.scope), event.state, now);
        break;
      case 'RELEASE':
        this.#force(this.#node(event.scope), null, now);
        break;
      case 'TICK':
        this.#tick(now);
        break;
    }
    if (this.#effects.length === 0) return NOTHING;
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** When the next TICK is due; Infinity when there is nothing to wait for. */
  nextTickMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const node of this.#active) {
      if (node.probe !== null) next = Math.min(next, node.probe.startedMs + this.#settings.lostProbeMs);
      else if (this.#isProbed(node)) next = Math.min(next, node.nextProbeMs);
    }
    return next;
  }

  /** Every scope that is not simply closed; the database always, first. */
  status(): ScopeStatus[] {
    const nodes = [...this.#families.values()].flatMap(({ whole, READ, WRITE }) => [whole, READ, WRITE]);
    const shown = nodes.filter(({ state, forced }) => state !== 'CLOSED' || forced !== null);
    return [this.#database, ...shown].map(({ scope, state, forced, cause }) => ({
      ...{ scope, name: scopeName(scope) },
      ...{ state, forced, cause },
    }));
  }

  #succeeded(node: Node, now: number): void {
    if (node.state !== 'CLOSED') return;
    node.failures = 0;
    node.calls.add(true, now);
    this.#database.failures = 0;
  }

  #failed(event: Extract<BreakerEvent, { type: 'FAILED' }>, now: number): void {
    const { collection, operation, evidence, sinceMs, cause } = event;
    const node = this.#family(collection)[operation];
    const database = this.#database;
    if (evidence === 'NONE' || database.state !== 'CLOSED' || database.forced !== null) return;
    const isDatabase = evidence === 'CONNECTION' ? this.#count(database, sinceMs) : this.#blame(node, event, now);
    if (isDatabase) this.#open(database, cause, database.failures > 0 ? database.failingSinceMs : sinceMs, now);
    // Is it only this call? The database is asked before the next one has to wait.
    else this.#probe(database, now);
  }

  /** Counts a failure against an operation; whether it is the database's, because so many opened lately. */
  #blame(node: Node, { sinceMs, cause }: Extract<BreakerEvent, { type: 'FAILED' }>, now: number): boolean {
    if (node.state !== 'CLOSED' || node.forced !== null) return false;
    const many = this.#count(node, sinceMs);
    node.calls.add(false, now);
    if (!many && !this.#mostFail(node, now)) return false;
    this.#open(node, cause, node.failingSinceMs, now);
    return this.#spreads(now);
  }

  /** Counts a failure; whether there were enough in a row. */
  #count(node: Node, sinceMs: number): boolean {
    if (node.failures === 0) node.failingSinceMs = sinceMs;
    node.failingSinceMs = Math.min(node.failingSinceMs, sinceMs);
    node.failures += 1;
    return node.failures >= this.#settings.failures;
  }

  #mostFail(node: Node, now: number): boolean {
    const { ok, failed } = node.calls.sums(now);
    return ok + failed >= this.#settings.minimum && failed >= this.#settings.ratio * (ok + failed);
  }

  /** Whether so many collections opened lately that it must be the database. */
  #spreads(now: number): boolean {
    const { spread, spreadMs } = this.#settings;
    const lately = [...this.#active].filter(({ scope, openedMs, state }) => {
      return state === 'OPEN' && scope.collection !== undefined && now - openedMs <= spreadMs;
    });
    return new Set(lately.map(({ scope }) => scope.collection)).size >= spread;
  }

  #open(node: Node, cause: string, sinceMs: number, now: number): void {
    const { calmMs, flaps, holdMs, probeMs } = this.#settings;
    node.flaps = now - node.closedMs < calmMs ? node.flaps + 1 : 0;
    node.heldUntilMs = node.flaps >= flaps ? now + holdMs : now;
    Object.assign(node, { state: 'OPEN', cause, openedMs: now, goodProbes: 0, probeMs, failures: 0 });
    node.nextProbeMs = now + this.#jittered(probeMs);
    node.calls.clear();
    this.#active.add(node);
    if (isOpen(node)) this.#effects.push({ type: 'OPENED', scope: node.scope, cause, sinceMs });
  }

  #probed({ scope, number, result, cause = 'a probe failed' }: Extract<BreakerEvent, { type: 'PROBED' }>, now: number) {
    const node = this.#node(scope);
    if (node.probe?.number !== number) return;
    const { startedMs } = node.probe;
    node.probe = null;
    if (node.state === 'CLOSED') {
      this.#active.delete(node);
      if (result === 'FAILED' && node.forced === null) this.#open(node, cause, startedMs, now);
    } else if (node.state === 'OPEN') {
      if (result === 'OK') this.#answered(node, now);
      else this.#silent(node, startedMs, now);
      // As after a failed call: it may be more than this operation by now.
      if (result === 'FAILED' && this.#database.state === 'CLOSED' && this.#database.forced === null) {
        this.#probe(this.#database, now);
      }
    }
  }

  /** A good probe of an open scope. */
  #answered(node: Node, now: number): void {
    node.goodProbes += 1;
    const enough = node.goodProbes >= this.#settings.goodProbes;
    if (enough && now >= node.heldUntilMs) {
      node.state = BreakerState.RECOVERING;
      this.#effects.push({ type: 'RECOVER', scope: node.scope });
    } else {
      node.nextProbeMs = now + (enough ? this.#jittered(this.#settings.maxProbeMs) : this.#settings.goodProbeMs);
    }
  }

  #silent(node: Node, startedMs: number, now: number): void {
    node.goodProbes = 0;
    node.probeMs = Math.min(node.probeMs * 2, this.#settings.maxProbeMs);
    node.nextProbeMs = Math.max(now, startedMs + this.#jittered(node.probeMs));
  }

  #recovered(node: Node, ok: boolean, now: number): void {
    if (node.state !== 'RECOVERING') return;
    if (!ok) {
      node.state = BreakerState.OPEN;
      node.goodProbes = 0;
      node.nextProbeMs = now + this.#jittered(this.#settings.maxProbeMs);
      return;
    }
    Object.assign(node, { state: 'CLOSED', cause: null, closedMs: now, failures: 0 });
    this.#active.delete(node);
    if (!isOpen(node)) this.#effects.push({ type: 'CLOSED', scope: node.scope });
    if (node === this.#database) this.#freed(now);
    this.#tick(now);
  }

  /** What was open under the database was not probed meanwhile; and if it flapped, that was the database's fault. */
  #freed(now: number): void {
    for (const node of this.#active) Object.assign(node, { nextProbeMs: now, heldUntilMs: now });
  }

  #force(node: Node, forced: 'OPEN' | 'CLOSED' | null, now: number): void {
    const wasOpen = isOpen(node);
    node.forced = forced;
    node.nextProbeMs = now;
    const { scope } = node;
    if (!wasOpen && isOpen(node)) {
      this.#effects.push({ type: 'OPENED', scope, cause: 'forced by an operator', sinceMs: now });
    }
    if (wasOpen && !isOpen(node)) this.#effects.push({ type: 'CLOSED', scope });
    this.#tick(now);
  }

  #tick(now: number): void {
    for (const node of [...this.#active]) {
      const { probe, scope } = node;
      if (probe !== null && now - probe.startedMs >= this.#settings.lostProbeMs) {
        this.#probed({ type: 'PROBED', scope, number: probe.number, result: 'INCONCLUSIVE' }, now);
      }
      if (node.probe === null && this.#isProbed(node) && now >= node.nextProbeMs) this.#probe(node, now);
    }
  }

  /** Whether probes of the node are worth while: what is under a database that is away cannot be well. */
  #isProbed(node: Node): boolean {
    if (node.state !== 'OPEN' || node.forced !== null) return false;
    return node === this.#database || this.#database.state === 'CLOSED';
  }

  #probe(node: Node, now: number): void {
    if (node.probe !== null) return;
    node.probes += 1;
    node.probe = { number: node.probes, startedMs: now };
    this.#active.add(node);
    this.#effects.push({ type: 'PROBE', scope: node.scope, number: node.probes });
  }

  /** Between three quarters of `ms` and all of it. */
  #jittered(ms: number): number {
    return ms * (0.75 + 0.25 * this.#random());
  }

  #node({ collection, operation }: Scope): Node {
    if (collection === undefined) return this.#database;
    const family = this.#family(collection);
    return operation === undefined ? family.whole : family[operation];
  }

  #family(collection: string): Family {
    let family = this.#families.get(collection);
    if (family === undefined) {
      const node = (operation?: Operation): Node => new Node({ collection, operation }, this.#settings.windowMs);
      family = { whole: node(), READ: node('READ'), WRITE: node('WRITE') };
      this.#families.set(collection, family);
    }
    return family;
  }
}

const NOTHING: readonly BreakerEffect[] = [];

function isOpen({ state, forced }: Node): boolean {
  return forced === null ? state !== 'CLOSED' : forced === 'OPEN';
}
