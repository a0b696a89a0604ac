import { expect, test } from 'vitest';
import { createRegistry, METRICS, metricsOf } from '../../src/telemetry/metrics.ts';

test('every metric has a name of ours that ends in its unit, and a help text', () => {
  for (const [name, { kind, help }] of Object.entries(METRICS)) {
    expect(name).toMatch(/^holdfast_[a-z_]+$/);
    expect(help).toMatch(/\.$/);
    if (kind === 'counter') expect(name).toMatch(/_total$/);
    if (kind === 'histogram') expect(name).toMatch(/_(seconds|bytes)$/);
  }
});

test('a registry has each metric once, whoever asks', () => {
  const registry = createRegistry();
  expect(metricsOf(registry).holdfast_requests_total).toBe(metricsOf(registry).holdfast_requests_total);
  expect(registry.getMetricsAsArray()).toHaveLength(Object.keys(METRICS).length);
});

test('registries are independent', async () => {
  const [one, other] = [createRegistry(), createRegistry()];
  metricsOf(one).holdfast_websocket_connections.inc();
  expect(await metricsOf(one).holdfast_websocket_connections.get()).toMatchObject({ values: [{ value: 1 }] });
  expect(await metricsOf(other).holdfast_websocket_connections.get()).toMatchObject({ values: [{ value: 0 }] });
});
