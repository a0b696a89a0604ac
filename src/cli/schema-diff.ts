import { findBreakingChanges, findDangerousChanges } from 'graphql';
import { buildSchema } from '../api/schema.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { configuredModel, modelAt } from './sdl.ts';

/** `holdfast schema diff OLD [NEW]`: what clients of the API would notice; NEW is the configured schema by default. */
export async function schemaDiff({ arguments: [old, recent], config, terminal }: CommandContext): Promise<ExitCode> {
  const before = buildSchema(modelAt(String(old)));
  const after = buildSchema(recent === undefined ? configuredModel((await config()).config) : modelAt(String(recent)));
  const breaking = findBreakingChanges(before, after).map(({ description }) => description);
  const dangerous = findDangerousChanges(before, after).map(({ description }) => description);
  const lines = [...breaking.map((text) => `breaks  ${text}`), ...dangerous.map((text) => `may break  ${text}`)];
  terminal.result({ breaking, dangerous }, lines.join('\n') || 'nothing that a client would notice breaks');
  return breaking.length > 0 ? ExitCode.DEGRADED : ExitCode.OK;
}
