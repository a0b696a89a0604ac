import { defineConfig } from 'vitest/config';

/** `unit` is part of `npm run check`. `servers` needs MongoDB, Redis, PostgreSQL or MariaDB, which the tests start and kill. */
const servers = ['test/servers/**/*.test.ts'];

/** `dr` backs up and restores on these servers: each file has servers of its own and none measures time, so two run at once. */
const dr = ['test/servers/dr-*.test.ts', 'test/servers/dr-*/**/*.test.ts', 'test/e2e/dr-*.test.ts'];

/** `slow` starts processes of ours, kills them or runs long simulations. */
const slow = ['test/e2e/**/*.test.ts', 'test/scenarios/**/*.test.ts', 'test/chaos/**/*.test.ts'];

export default defineConfig({
  // Apollo and graphql-tools load graphql's CommonJS build; one realm only (graphql-js refuses two).
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: [...servers, ...slow], testTimeout: 20_000 },
      },
      {
        extends: true,
        test: {
          ...{ name: 'servers', include: servers, exclude: dr },
          ...{ testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false },
        },
      },
      {
        extends: true,
        test: { name: 'dr', include: dr, testTimeout: 300_000, hookTimeout: 120_000 },
      },
      {
        extends: true,
        test: {
          ...{ name: 'slow', include: slow, exclude: dr },
          ...{ testTimeout: 300_000, hookTimeout: 60_000, fileParallelism: false },
        },
      },
    ],
  },
});
