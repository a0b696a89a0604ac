import { graphql, parse, subscribe } from 'graphql';
import { describe, expect, test } from 'vitest';
import { buildOpsSchema } from '../../resolvers/ops.ts';
import type { TokenService } from '../../src/service/access.ts';
import type { Decision } from '../../src/service/conflict-resolution.ts';
import type { Conflict } from '../../src/service/conflicts.ts';
import type { ConflictsQuery, OpsService, ReplicaInfo, Status } from '../../src/service/ops-service.ts';

const STATUS: Status = {
  role: 'REPLICA',
  version: '0.1.0',
  uptimeMs: 5_000_000_000,
  store: 'SQLite 3.53.4',
  position: { epoch: 1, sequence: 42 },
  floor: 1,
  logId: 'ab'.repeat(16),
  sdlHash: 'cd'.repeat(16),
  degraded: true,
  problems: ['the primary does not answer'],
  entities: [{ name: 'Teacher', collection: 'teachers', count: 3, replicates: true }],
  following: {
    state: 'LIVE',
    primary: 'ws://127.0.0.1:4000/graphql',
    applied: 42,
    head: 44,
    lagChanges: 2,
    lagMs: null,
    proven: true,
    lastError: null,
  },
};

const REPLICA: ReplicaInfo = {
  replica: 'r1',
  state: 'LIVE',
  url: null,
  epoch: 1,
  applied: 40,
  lagChanges: 2,
  lagMs: 12,
  seenMs: 100,
};

const CONFLICT: Conflict = {
  id: 'c1',
  kind: 'WRITE',
  collection: 'teachers',
  document: '"t1"',
  at: 1_000,
  base: '{}',
  baseVersion: 1,
  current: '{}',
  currentVersion: 2,
  proposed: null,
  outcome: 'OPEN',
  resolvedAt: null,
};

const NO_TOKENS: TokenService = {
  list: () => [],
  create: () => {
    throw new Error('nobody asks for a token');
  },
  revoke: () => {
    throw new Error('nobody revokes a token');
  },
};

class FakeOps implements OpsService {
  readonly orders: string[] = [];
  status = async () => STATUS;
  replicas = async () => [REPLICA];
  async replicaVerify({ deep }: { deep: boolean }) {
    this.orders.push(`verify ${deep}`);
    return {
      equal: false,
      position: '1.42',
      collections: [{ collection: 'teachers', equal: false, count: 3, sourceCount: 4 }],
      differences: [{ collection: 'teachers', id: '"t4"', kind: 'MISSING' as const }],
    };
  }
  async replicaResync({ force }: { force: boolean }) {
    this.orders.push(`resync ${force}`);
  }
  async replicaPromote({ force }: { force: boolean }) {
    this.orders.push(`promote ${force}`);
    return { position: { epoch: 2, sequence: 43 }, epoch: 2, lostChanges: 2 };
  }
  async conflicts({ all, limit, after }: ConflictsQuery) {
    this.orders.push(`conflicts ${all} ${limit} ${after}`);
    return [CONFLICT];
  }
  async conflictResolve({ id, resolution, document }: Decision) {
    this.orders.push(`resolve ${id} ${resolution} ${document}`);
    return { ...CONFLICT, outcome: 'KEPT' as const, resolvedAt: 2_000 };
  }
  async *statusChanges(signal: AbortSignal) {
    yield STATUS;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    this.orders.push('ended');
  }
  async *replicaLag(intervalMs: number) {
    this.orders.push(`lag ${intervalMs}`);
    yield [REPLICA];
  }
}

const contextValue = { signal: new AbortController().signal };

describe('the ops schema', () => {
  test('promotes, lists conflicts and takes decisions', async () => {
    const service = new FakeOps();
    const schema = buildOpsSchema({ service, tokens: NO_TOKENS });
    const ask = (source: string) => graphql({ schema, source, contextValue });
    const promoted = await ask('mutation { replicaPromote(force: true) { position epoch lostChanges } }');
    expect(promoted.data).toEqual({ replicaPromote: { position: '2.43', epoch: 2, lostChanges: 2 } });
    const listed = await ask('{ conflicts(after: "c0") { id kind document at proposed outcome resolvedAt } }');
    expect(listed.data?.conflicts).toMatchObject([
      { id: 'c1', kind: 'WRITE', document: '"t1"', proposed: null, outcome: 'OPEN', resolvedAt: null },
    ]);
    const decided = await ask('mutation { conflictResolve(id: "c1", resolution: KEEP) { outcome resolvedAt } }');
    expect(decided.data?.conflictResolve).toMatchObject({ outcome: 'KEPT', resolvedAt: '1970-01-01T00:00:02.000Z' });
    expect((await ask('{ conflicts(limit: 0) { id } }')).errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(service.orders).toEqual(['promote true', 'conflicts false 100 c0', 'resolve c1 KEEP null']);
  });

  test('answers status and replicas', async () => {
    const schema = buildOpsSchema({ service: new FakeOps(), tokens: NO_TOKENS });
    const source = `{
      status { role version uptimeMs store position floor degraded problems entities { name count }
        following { state applied head lagMs proven lastError } replicas { replica } }
      replicas { replica state url applied lagMs lagChanges seenMs }
    }`;
    const { data, errors } = await graphql({ schema, source, contextValue });
    expect(errors).toBeUndefined();
    expect(data).toMatchObject({
      status: {
        role: 'REPLICA',
        uptimeMs: 5_000_000_000,
        position: '1.42',
        following: { lagMs: null, head: 44 },
        replicas: [{ replica: 'r1' }],
      },
      replicas: [{ replica: 'r1', lagMs: 12, seenMs: 100 }],
    });
  });

  test('verifies and resyncs', async () => {
    const service = new FakeOps();
    const schema = buildOpsSchema({ service, tokens: NO_TOKENS });
    const source = `mutation {
      quick: replicaVerify { equal }
      replicaVerify(deep: true) { equal position collections { collection equal count sourceCount } differences { collection id kind } }
      replicaResync(force: true) { role }
    }`;
    const { data } = await graphql({ schema, source, contextValue });
    expect(service.orders).toEqual(['verify false', 'verify true', 'resync true']);
    expect(data).toMatchObject({
      replicaVerify: { equal: false, position: '1.42', differences: [{ id: '"t4"', kind: 'MISSING' }] },
      replicaResync: { role: 'REPLICA' },
    });
  });

  test('streams status and lag, and ends the stream of a subscriber that leaves', async () => {
    const service = new FakeOps();
    const schema = buildOpsSchema({ service, tokens: NO_TOKENS });
    const stream = await subscribe({
      schema,
      document: parse('subscription { statusChanged { role } }'),
      contextValue,
    });
    if (!(Symbol.asyncIterator in stream)) throw new Error(JSON.stringify(stream));
    expect((await stream.next()).value).toEqual({ data: { statusChanged: { role: 'REPLICA' } } });
    const next = stream.next();
    await stream.return?.();
    expect((await next).done).toBe(true);
    expect(service.orders).toEqual(['ended']);
  });

  test('refuses an interval that makes no sense', async () => {
    const schema = buildOpsSchema({ service: new FakeOps(), tokens: NO_TOKENS });
    const document = parse('subscription { replicaLag(intervalMs: 1) { replica } }');
    expect(await subscribe({ schema, document, contextValue })).toMatchObject({
      errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
    });
  });

  test('hands tokens to their service, roles and times in its words', async () => {
    const asked: unknown[] = [];
    const token = {
      ...{ id: 'ab'.repeat(8), name: 'ci', roles: ['reader', 'operator'] as const, origin: 'HERE' as const },
      ...{ createdAt: '2030-01-01T00:00:00.000Z', expiresAt: null, revokedAt: null, lastUsedAt: null },
    };
    const tokens: TokenService = {
      list: () => [token],
      create: (request) => {
        asked.push(request);
        return { token, secret: 'hf_x' };
      },
      revoke: (id) => {
        asked.push(id);
        return { ...token, revokedAt: '2030-01-02T00:00:00.000Z' };
      },
    };
    const schema = buildOpsSchema({ service: new FakeOps(), tokens });
    const source = `mutation {
      tokenCreate(input: { name: "ci", roles: [READER, OPERATOR], expiresAt: "2031-01-01T00:00:00Z" }) {
        secret token { id roles origin createdAt expiresAt }
      }
      tokenRevoke(id: "abab") { revokedAt }
    }`;
    const { data, errors } = await graphql({ schema, source, contextValue });
    expect(errors).toBeUndefined();
    expect(JSON.parse(JSON.stringify(data))).toEqual({
      tokenCreate: {
        secret: 'hf_x',
        token: {
          ...{ id: token.id, roles: ['READER', 'OPERATOR'], origin: 'HERE' },
          ...{ createdAt: '2030-01-01T00:00:00.000Z', expiresAt: null },
        },
      },
      tokenRevoke: { revokedAt: '2030-01-02T00:00:00.000Z' },
    });
    expect(asked).toEqual([
      { name: 'ci', roles: ['reader', 'operator'], expiresAt: '2031-01-01T00:00:00.000Z' },
      'abab',
    ]);
  });
});
