import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../src/cli/commands.ts';
import { configKeys, resolveConfig } from '../src/config.ts';

const ROOT = resolve(import.meta.dirname, '..');
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs/errors.md',
  'docs/configuration.md',
  'docs/redis.md',
  'docs/security.md',
];

const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8');

describe('the documents', () => {
  it.each(DOCUMENTS)('%s points only at files that exist', (file) => {
    const text = textOf(file);
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => join(dirname(file), match[1] ?? ''));
    const paths = [...text.matchAll(/`((?:src|test|schema|docs|replica|resolvers|bin)\/[\w./-]*)`/g)].map(
      (match) => match[1] ?? '',
    );
    expect([...links, ...paths].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('name every command in README', () => {
    const readme = textOf('README.md');
    const missing = COMMANDS.map(({ name }) => name).filter((name) => {
      const [group = '', word] = name.split(' ');
      return !readme.includes(`\`${name}`) && !(readme.includes(`\`${group} `) && readme.includes(`\`${word}\``));
    });
    expect(missing).toEqual([]);
  });

  it('name only scripts of package.json', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
    const used = ['README.md', 'CONTRIBUTING.md'].flatMap((file) => [...textOf(file).matchAll(/npm run ([\w:]+)/g)]);
    expect(used.map((match) => match[1]).filter((name) => !((name as string) in scripts))).toEqual([]);
  });

  // After a change of the keys: vitest run --project unit test/documents.test.ts -u
  it('list every configuration key', async () => {
    await expect(configurationPage()).toMatchFileSnapshot('../docs/configuration.md');
  });
});

function configurationPage(): string {
  const defaults = resolveConfig({}, {});
  const rows = configKeys().map(({ path, variable, description }) => {
    const value = path
      .split('.')
      .reduce((node: unknown, name) => (node as Record<string, unknown> | undefined)?.[name], defaults);
    const shown =
      value === undefined || (typeof value === 'object' && Object.keys(value ?? {}).length === 0) ? '' : `\`${value}\``;
    return `| \`${path}\` | \`${variable}\` | ${shown} | ${description} |`;
  });
  return `# Configuration

\`holdfast.config.yaml\`, \`.json\` or \`.ts\` (\`export default defineConfig({ … })\`) in the working directory, or the file given with
\`--config\`; then the environment; then flags. Lists are separated by commas in variables and flags. Paths in a file are meant from
the file's directory. \`holdfast config print\` shows every value with its origin.

| key | variable | default | meaning |
|---|---|---|---|
${rows.join('\n')}

The ports of a replica are 4010 and 4011 by default.
`;
}
