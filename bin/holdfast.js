#!/usr/bin/env node
// Plain JavaScript that also runs on older Node: finds the program and a Node that can run it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const NEEDED_MAJOR = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));

if (Number.parseInt(process.versions.node, 10) >= NEEDED_MAJOR) await run();
else runWithPinnedNode();

/** In a checkout the sources run as they are; Node does not strip types under node_modules, so an installed package runs the build. */
async function run() {
  nodeModule.enableCompileCache();
  const source = join(root, 'src', 'cli', 'main.ts');
  const installed = root.split(sep).includes('node_modules') || !existsSync(source);
  const { main } = await import(installed ? '../dist/src/cli/main.js' : '../src/cli/main.ts');
  const code = await main(process.argv.slice(2));
  // What was written goes out first; an idle connection does not keep a finished command waiting.
  process.stdout.write('', () => process.exit(code));
}

/** A checkout brings its own Node as the development dependency `node`. */
function runWithPinnedNode() {
  const pinned = join(root, 'node_modules', 'node', 'bin', 'node');
  if (!existsSync(pinned)) {
    console.error(
      `holdfast needs Node ${NEEDED_MAJOR} or newer; this is ${process.version} (${process.execPath}).\n` +
        'Install it from https://nodejs.org; in a checkout of holdfast, `npm ci` brings it.',
    );
    process.exitCode = 2;
    return;
  }
  const child = spawn(pinned, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}
