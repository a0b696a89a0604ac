import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Prometheus registry that metrics are kept in and `/metrics` prints. */
export type MetricsRegistry = Registry;

interface MetricDefinition {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Every label has few values, all of them ours: never a name, id or text that a client chooses. */
  readonly labels: readonly string[];
  /** Upper bounds, for histograms. */
  readonly buckets?: readonly number[];
}

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/**
 * Every metric of Holdfast. Names end in their unit; counters end in `_total`. `operation` is query, mutation, subscription
 * or invalid; `transport` is http or ws; `outcome` is ok, error (answered with errors) or refused (never executed); `code` is a
 * code of src/errors.ts or of Apollo.
 */
export const METRICS = {
  holdfast_requests_total: {
    kind: 'counter',
    help: 'GraphQL operations answered; a subscription counts once, when it ends.',
    labels: ['transport', 'operation', 'outcome'],
  },
  holdfast_request_duration_seconds: {
    kind: 'histogram',
    help: 'Time from the operation being received to its answer being ready; queries and mutations.',
    labels: ['transport', 'operation'],
    buckets: SECONDS,
  },
  holdfast_errors_total: {
    kind: 'counter',
    help: 'Errors in answers, by code.',
    labels: ['code'],
  },
  holdfast_requests_in_flight: {
    kind: 'gauge',
    help: 'Queries and mutations being executed now.',
    labels: [],
  },
  holdfast_websocket_connections: {
    kind: 'gauge',
    help: 'Open websocket connections.',
    labels: [],
  },
  holdfast_websocket_closed_total: {
    kind: 'counter',
    help: 'Closed websocket connections, by close code.',
    labels: ['code'],
  },
  holdfast_subscriptions_active: {
    kind: 'gauge',
    help: 'Subscriptions open now.',
    labels: [],
  },
  holdfast_subscription_events_total: {
    kind: 'counter',
    help: 'Results delivered to subscribers.',
    labels: [],
  },
  holdfast_log_head_sequence: {
    kind: 'gauge',
    help: 'Sequence of the last durable change here.',
    labels: [],
  },
  holdfast_log_floor_sequence: {
    kind: 'gauge',
    help: 'Sequence of the oldest change still kept.',
    labels: [],
  },
  holdfast_followers: {
    kind: 'gauge',
    help: 'Replicas that follow this node, heard of in the last day.',
    labels: [],
  },
  holdfast_follower_lag_changes: {
    kind: 'gauge',
    help: 'Changes that the follower furthest behind does not hold yet.',
    labels: [],
  },
  holdfast_replica_lag_changes: {
    kind: 'gauge',
    help: 'Changes the primary is known to have that are not applied here; replicas only.',
    labels: [],
  },
  holdfast_replica_staleness_seconds: {
    kind: 'gauge',
    help: 'Age of the data here; replicas only.',
    labels: [],
  },
  holdfast_replica_ready: {
    kind: 'gauge',
    help: '1 once the copy was proven equal, else 0; replicas only.',
    labels: [],
  },
  holdfast_redis_unavailable: {
    kind: 'gauge',
    help: '1 while Redis is configured and cannot be used, else 0.',
    labels: [],
  },
  holdfast_redis_incidents_total: {
    kind: 'counter',
    help: 'Times that Redis became unavailable.',
    labels: [],
  },
  holdfast_redis_dropped_changes_total: {
    kind: 'counter',
    help: 'Changes not copied to Redis because it did not take them in time; readers get them from the database.',
    labels: [],
  },
  holdfast_redis_reads_total: {
    kind: 'counter',
    help: 'Reads of the change log tried in Redis: hit, miss (the database was read instead) or late (no answer in time).',
    labels: ['outcome'],
  },
  holdfast_fallback_open: {
    kind: 'gauge',
    help: '1 while anything is kept from the database because it does not answer, else 0.',
    labels: [],
  },
  holdfast_fallback_transitions_total: {
    kind: 'counter',
    help: 'Times that a breaker opened or closed, by its scope: database, collection or operation.',
    labels: ['scope', 'to'],
  },
  holdfast_fallback_reads_total: {
    kind: 'counter',
    help: 'Reads that the database did not answer, by what did: live, snapshot, dataset or none.',
    labels: ['source'],
  },
  holdfast_fallback_writes_total: {
    kind: 'counter',
    help: 'Writes that the database did not confirm: refused, unknown or journaled.',
    labels: ['outcome'],
  },
  holdfast_journal_waiting: {
    kind: 'gauge',
    help: 'Writes in the journal that wait for the database.',
    labels: [],
  },
  holdfast_journal_parked: {
    kind: 'gauge',
    help: 'Writes in the journal that wait for somebody to decide: conflicts, and what only an operator replays.',
    labels: [],
  },
  holdfast_journal_bytes: {
    kind: 'gauge',
    help: 'Size of the writes in the journal that are not in the database, about.',
    labels: [],
  },
  holdfast_journal_entries_total: {
    kind: 'counter',
    help: 'Writes of single documents that entered the journal or came to an end there: appended, replayed, conflict or held.',
    labels: ['event'],
  },
  holdfast_fallback_rescued_total: {
    kind: 'counter',
    help: 'Reads in flight that were answered elsewhere at once when a breaker opened.',
    labels: [],
  },
} as const satisfies Record<`holdfast_${string}`, MetricDefinition>;

type Table = typeof METRICS;
type Labels<N extends keyof Table> = Table[N]['labels'][number];
type Metric<N extends keyof Table> = Table[N]['kind'] extends 'counter'
  ? Counter<Labels<N>>
  : Table[N]['kind'] extends 'gauge'
    ? Gauge<Labels<N>>
    : Histogram<Labels<N>>;

/** The metrics of the table, by name. */
export type Metrics = { readonly [N in keyof Table]: Metric<N> };

/** A registry of its own; `process` adds Node's metrics (memory, CPU, event loop delay). */
export function createRegistry(options: { process?: boolean } = {}): MetricsRegistry {
  const registry = new Registry();
  if (options.process === true) collectDefaultMetrics({ register: registry });
  return registry;
}

/** Every metric of the table in `registry`; the same objects when called again with the same registry. */
export function metricsOf(registry: MetricsRegistry): Metrics {
  const metrics = Object.entries<MetricDefinition>(METRICS).map(([name, definition]) => [
    name,
    registry.getSingleMetric(name) ?? create(name, definition, registry),
  ]);
  return Object.fromEntries(metrics) as Metrics;
}

/** Names of the gauges without labels. */
export type PlainGauge = {
  [N in keyof Table]: Table[N]['kind'] extends 'gauge' ? (Labels<N> extends never ? N : never) : never;
}[keyof Table];

/** Lets gauges be read when they are asked for. */
export function observe(registry: MetricsRegistry, gauges: Partial<Record<PlainGauge, () => number>>): void {
  const metrics = metricsOf(registry);
  for (const [name, read] of Object.entries(gauges)) {
    const gauge: Gauge = metrics[name as PlainGauge];
    Object.assign(gauge, { collect: () => gauge.set(read()) });
  }
}

function create(name: string, { kind, help, labels, buckets }: MetricDefinition, registry: Registry) {
  const settings = { name, help, labelNames: [...labels], registers: [registry] };
  if (kind === 'counter') return new Counter(settings);
  if (kind === 'gauge') return new Gauge(settings);
  return new Histogram({ ...settings, buckets: [...(buckets ?? SECONDS)] });
}
