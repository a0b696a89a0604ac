import { restore } from '../../src/dr/restore.ts';
import { armFailpoint } from '../../src/util/failpoint.ts';

/** Arguments: archive, target, mode, failpoint. Resumes a restore in a process of its own, which the failpoint kills, or whoever started it. */
const [from = '', target = '', mode = 'full', spec = ''] = process.argv.slice(2);
if (spec !== '') armFailpoint(spec);
process.stdout.write('started\n');
await restore({ from, target, mode: mode === 'data' ? 'data' : 'full', resume: true });
