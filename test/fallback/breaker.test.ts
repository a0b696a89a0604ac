import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Breaker, type BreakerEffect, type BreakerEvent } from '../../src/fallback/breaker.ts';
import { DEFAULT_BREAKER } from '../../src/fallback/breaker-settings.ts';
import { type Operation, type Scope, scopeName } from '../../src/fallback/scope.ts';

/** A breaker with its time and all it ordered. */
class Bench {
  readonly breaker = new Breaker({}, () => 0.5);
  readonly effects: BreakerEffect[] = [];
  now = 1_000;

  step(event: BreakerEvent): readonly BreakerEffect[] {
    const effects = this.breaker.step(event, this.now);
    this.effects.push(...effects);
    return effects;
  }

  fail(evidence: 'CONNECTION' | 'OPERATION' | 'NONE', collection = 'things', operation: Operation = 'READ') {
    return this.step({ type: 'FAILED', collection, operation, evidence, sinceMs: this.now - 400, cause: 'it hangs' });
  }

  succeed(collection = 'things', operation: Operation = 'READ') {
    return this.step({ type: 'SUCCEEDED', collection, operation });
  }

  /** Ends the probe of a scope that was ordered last. */
  probed(result: 'OK' | 'FAILED' | 'INCONCLUSIVE', name = 'database') {
    const probe = this.effects.findLast((effect) => effect.type === 'PROBE' && scopeName(effect.scope) === name);
    if (probe?.type !== 'PROBE') throw new Error(`${name} was not probed`);
    return this.step({ type: 'PROBED', scope: probe.scope, number: probe.number, result });
  }

  /** Moves to the next TICK and takes it in. */
  wait() {
    this.now = this.breaker.nextTickMs();
    return this.step({ type: 'TICK' });
  }

  /** Probes until the scope closes. */
  recover(name = 'database') {
    const scope: Scope = name === 'database' ? {} : { collection: name.split(':')[0], operation: 'READ' };
    for (;;) {
      if (!this.effects.some((effect) => effect.type === 'PROBE')) this.wait();
      const effects = this.probed('OK', name);
      if (effects.some(({ type }) => type === 'RECOVER')) return this.step({ type: 'RECOVERED', scope, ok: true });
      this.wait();
    }
  }

  lose() {
    for (let times = 0; times < 3; times++) this.fail('CONNECTION');
    this.probed('FAILED');
  }
}

const named = (effects: readonly BreakerEffect[]) => effects.map(({ type, scope }) => `${type} ${scopeName(scope)}`);

describe('Breaker', () => {
  it('lets everything through at first, and after 10,000 mistakes of callers', () => {
    const bench = new Bench();
    for (let times = 0; times < 10_000; times++) bench.fail('NONE');
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
    expect(bench.effects).toEqual([]);
  });

  it('asks the database at the first failure, and opens it when it does not answer', () => {
    const bench = new Bench();
    expect(named(bench.fail('OPERATION'))).toEqual(['PROBE database']);
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
    expect(named(bench.probed('FAILED'))).toEqual(['OPENED database']);
    expect(bench.breaker.admits('others', 'WRITE')).toBe(false);
  });

  it('stays closed when it does', () => {
    const bench = new Bench();
    bench.fail('OPERATION');
    expect(bench.probed('OK')).toEqual([]);
    expect(bench.breaker.nextTickMs()).toBe(Number.POSITIVE_INFINITY);
  });

  it('opens the database at the third connection in a row that fails, with the time when the first began', () => {
    const bench = new Bench();
    bench.fail('CONNECTION', 'a');
    bench.now += 10;
    bench.fail('CONNECTION', 'b');
    expect(bench.fail('CONNECTION', 'c', 'WRITE')).toMatchObject([{ type: 'OPENED', scope: {}, sinceMs: 600 }]);
  });

  it('begins to count anew after a success', () => {
    const bench = new Bench();
    for (let times = 0; times < 5; times++) {
      bench.fail('CONNECTION');
      bench.fail('OPERATION');
      bench.succeed();
      bench.succeed();
    }
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
  });

  it('opens one operation of one collection, and leaves the others on the database', () => {
    const bench = new Bench();
    for (let times = 0; times < 3; times++) bench.fail('OPERATION');
    bench.probed('OK');
    expect(bench.breaker.admits('things', 'READ')).toBe(false);
    expect(bench.breaker.admits('things', 'WRITE')).toBe(true);
    expect(bench.breaker.admits('others', 'READ')).toBe(true);
  });

  it('asks the database again whenever the probe of an operation fails, for it may have gone meanwhile', () => {
    const bench = new Bench();
    for (let times = 0; times < 3; times++) bench.fail('OPERATION');
    bench.probed('OK');
    bench.wait();
    expect(named(bench.probed('FAILED', 'things:READ'))).toEqual(['PROBE database']);
    expect(named(bench.probed('FAILED'))).toEqual(['OPENED database']);
  });

  it('opens an operation of which half fails, though never three in a row', () => {
    const bench = new Bench();
    for (let times = 0; times < 5; times++) {
      bench.succeed();
      bench.now += 500;
      bench.fail('OPERATION');
      bench.probed('OK');
    }
    expect(bench.breaker.admits('things', 'READ')).toBe(false);
  });

  it('forgets failures that are longer ago than the window', () => {
    const bench = new Bench();
    for (let times = 0; times < 20; times++) {
      bench.succeed();
      bench.now += 3_000;
      bench.fail('OPERATION');
      bench.probed('OK');
    }
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
  });

  it('opens the database when three collections open at once', () => {
    const bench = new Bench();
    for (const collection of ['a', 'b', 'c']) {
      for (let times = 0; times < 3; times++) bench.fail('OPERATION', collection);
      bench.now += 100;
    }
    expect(bench.breaker.admits('others', 'READ')).toBe(false);
  });

  it('probes at most 500 ms apart while nothing answers, one at a time', () => {
    const bench = new Bench();
    bench.lose();
    let last = bench.now;
    for (let times = 0; times < 30; times++) {
      expect(named(bench.wait())).toEqual(['PROBE database']);
      expect(bench.now - last).toBeLessThanOrEqual(500);
      expect(bench.step({ type: 'TICK' })).toEqual([]);
      last = bench.now;
      bench.now += 300;
      bench.probed('FAILED');
    }
  });

  it('closes after three good probes in a row and what waited was brought there', () => {
    const bench = new Bench();
    bench.lose();
    for (const result of ['OK', 'OK', 'FAILED', 'OK', 'OK'] as const) {
      bench.wait();
      expect(named(bench.probed(result))).toEqual([]);
    }
    bench.wait();
    expect(named(bench.probed('OK'))).toEqual(['RECOVER database']);
    expect(bench.breaker.admits('things', 'WRITE')).toBe(false);
    expect(named(bench.step({ type: 'RECOVERED', scope: {}, ok: true }))).toEqual(['CLOSED database']);
    expect(bench.breaker.admits('things', 'WRITE')).toBe(true);
  });

  it('goes on probing when what waited could not be brought there', () => {
    const bench = new Bench();
    bench.lose();
    for (let times = 0; times < 3; times++) {
      bench.wait();
      bench.probed('OK');
    }
    bench.step({ type: 'RECOVERED', scope: {}, ok: false });
    expect(bench.breaker.admits('things', 'READ')).toBe(false);
    bench.recover();
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
  });

  it('takes a probe that was never reported for failed', () => {
    const bench = new Bench();
    bench.lose();
    bench.wait();
    const lost = bench.effects.at(-1);
    bench.now += DEFAULT_BREAKER.lostProbeMs;
    expect(named(bench.step({ type: 'TICK' }))).toEqual(['PROBE database']);
    expect(lost).not.toEqual(bench.effects.at(-1));
    bench.step({ type: 'PROBED', scope: {}, number: 2, result: 'OK' });
    bench.recover();
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
  });

  it('does not believe a probe that ended while this process stood still', () => {
    const bench = new Bench();
    bench.fail('OPERATION');
    bench.probed('INCONCLUSIVE');
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
  });

  it('probes what lies under the database only when that is back, and then at once', () => {
    const bench = new Bench();
    for (let times = 0; times < 3; times++) bench.fail('OPERATION');
    bench.probed('FAILED');
    expect(named(bench.wait())).toEqual(['PROBE database']);
    bench.probed('OK');
    for (let times = 0; times < 2; times++) {
      bench.wait();
      bench.probed('OK');
    }
    expect(named(bench.step({ type: 'RECOVERED', scope: {}, ok: true }))).toEqual([
      'CLOSED database',
      'PROBE things:READ',
    ]);
    bench.recover('things:READ');
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
  });

  it("holds back no operation for failures that were the database's", () => {
    const bench = new Bench();
    const trip = (): void => {
      for (let times = 0; times < 3; times++) bench.fail('OPERATION');
    };
    for (let flaps = 0; flaps < 3; flaps++) {
      trip();
      bench.probed('OK');
      bench.wait();
      bench.recover('things:READ');
    }
    trip();
    bench.probed('FAILED');
    bench.recover();
    const since = bench.now;
    bench.recover('things:READ');
    expect(bench.now - since).toBeLessThan(1_000);
  });

  it('changes at most once in five seconds when the database comes and goes every second', () => {
    const bench = new Bench();
    const changes: number[] = [];
    const seen = (effects: readonly BreakerEffect[]): void => {
      if (effects.some(({ type }) => type === 'OPENED' || type === 'CLOSED')) changes.push(bench.now);
    };
    let probe: Extract<BreakerEffect, { type: 'PROBE' }> | undefined;
    const take = (event: BreakerEvent): void => {
      const effects = bench.step(event);
      seen(effects);
      probe = effects.find((effect) => effect.type === 'PROBE') ?? probe;
      if (effects.some(({ type }) => type === 'RECOVER')) take({ type: 'RECOVERED', scope: {}, ok: true });
    };
    for (const end = bench.now + 120_000; bench.now < end; bench.now += 10) {
      const up = Math.floor(bench.now / 1_000) % 2 === 0;
      take({ type: 'TICK' });
      if (probe !== undefined) {
        const { scope, number } = probe;
        probe = undefined;
        take({ type: 'PROBED', scope, number, result: up ? 'OK' : 'FAILED' });
      }
      if (!bench.breaker.admits('things', 'READ')) continue;
      if (up) take({ type: 'SUCCEEDED', collection: 'things', operation: 'READ' });
      else {
        const failed = { type: 'FAILED', collection: 'things', operation: 'READ', evidence: 'CONNECTION' } as const;
        take({ ...failed, sinceMs: bench.now, cause: 'reset' });
      }
    }
    // Three flaps are let pass.
    const damped = changes.slice(8);
    expect(damped.length).toBeGreaterThan(4);
    expect((damped.at(-1)! - damped[0]!) / (damped.length - 1)).toBeGreaterThanOrEqual(5_000);
  });

  it('is open while the database was never reached', () => {
    const bench = new Bench();
    expect(named(bench.step({ type: 'LOST', cause: 'not reached' }))).toEqual(['OPENED database']);
    bench.recover();
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
  });

  it('obeys an operator, the nearest order first', () => {
    const bench = new Bench();
    bench.step({ type: 'FORCE', scope: {}, state: 'OPEN' });
    bench.step({ type: 'FORCE', scope: { collection: 'things' }, state: 'CLOSED' });
    expect(bench.breaker.admits('others', 'READ')).toBe(false);
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
    expect(bench.breaker.status().map(({ scope, forced }) => [scopeName(scope), forced])).toEqual([
      ['database', 'OPEN'],
      ['things', 'CLOSED'],
    ]);
    expect(named(bench.step({ type: 'RELEASE', scope: {} }))).toEqual(['CLOSED database']);
    expect(bench.breaker.admits('others', 'READ')).toBe(true);
  });

  it('takes no failures for it while it is forced closed', () => {
    const bench = new Bench();
    bench.step({ type: 'FORCE', scope: {}, state: 'CLOSED' });
    for (let times = 0; times < 10; times++) bench.fail('CONNECTION');
    expect(bench.breaker.admits('things', 'READ')).toBe(true);
  });

  it('never probes a scope twice at once, is never stuck, and always finds back', () => {
    const scope = fc.constantFrom<Scope>({}, { collection: 'a' }, { collection: 'a', operation: 'READ' });
    const event = fc.oneof(
      fc.record({
        type: fc.constant('FAILED' as const),
        collection: fc.constantFrom('a', 'b', 'c'),
        operation: fc.constantFrom<Operation>('READ', 'WRITE'),
        evidence: fc.constantFrom('CONNECTION' as const, 'OPERATION' as const, 'NONE' as const),
        sinceMs: fc.constant(0),
        cause: fc.constant('x'),
      }),
      fc.record({
        type: fc.constant('SUCCEEDED' as const),
        collection: fc.constantFrom('a', 'b', 'c'),
        operation: fc.constantFrom<Operation>('READ', 'WRITE'),
      }),
      fc.record({ type: fc.constant('PROBES_END' as const), result: fc.constantFrom('OK', 'FAILED', 'INCONCLUSIVE') }),
      fc.record({
        type: fc.constant('FORCE' as const),
        scope,
        state: fc.constantFrom('OPEN' as const, 'CLOSED' as const),
      }),
      fc.record({ type: fc.constant('RELEASE' as const), scope }),
      fc.record({ type: fc.constant('TICK' as const) }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.integer({ min: 0, max: 700 })), { maxLength: 120 }), (steps) => {
        const breaker = new Breaker({}, () => 0.5);
        const probes = new Map<string, { readonly scope: Scope; readonly number: number; readonly at: number }>();
        let now = 0;
        const take = (taken: BreakerEvent): void => {
          if (taken.type === 'PROBED') probes.delete(scopeName(taken.scope));
          for (const effect of breaker.step(taken, now)) {
            const name = scopeName(effect.scope);
            if (effect.type === 'RECOVER') take({ type: 'RECOVERED', scope: effect.scope, ok: true });
            if (effect.type !== 'PROBE') continue;
            const running = probes.get(name);
            // Only one that was lost may be repeated.
            const lost = running === undefined || now - running.at >= DEFAULT_BREAKER.lostProbeMs;
            expect(lost).toBe(true);
            probes.set(name, { scope: effect.scope, number: effect.number, at: now });
          }
        };
        for (const [step, ms] of steps) {
          now += ms;
          if (step.type === 'PROBES_END') {
            for (const { scope: probed, number } of [...probes.values()]) {
              take({ type: 'PROBED', scope: probed, number, result: step.result as 'OK' });
            }
          } else take(step);
        }
        // The database is well again, and nobody forces anything.
        for (const released of [{}, { collection: 'a' }, { collection: 'a', operation: 'READ' }] as const) {
          take({ type: 'RELEASE', scope: released });
        }
        for (let times = 0; times < 2_000 && breaker.status().some(({ state }) => state !== 'CLOSED'); times++) {
          const [first] = probes.values();
          if (first !== undefined) take({ type: 'PROBED', scope: first.scope, number: first.number, result: 'OK' });
          now = Math.max(now, Math.min(breaker.nextTickMs(), now + 10_000));
          take({ type: 'TICK' });
        }
        expect(breaker.status()).toEqual([{ scope: {}, name: 'database', state: 'CLOSED', forced: null, cause: null }]);
        expect(breaker.admits('a', 'READ')).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
