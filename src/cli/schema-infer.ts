import { readDocuments } from '../model/import-reader.ts';
import { baseNameOf, Inference, inferredSdl } from '../model/infer.ts';
import { type CommandContext, ExitCode, UsageError } from './command.ts';
import { counted, sizeOf } from './file.ts';
import { Progress } from './progress.ts';

/** `holdfast schema infer`: nothing but SDL goes to stdout. */
export async function schemaInfer({ options, terminal }: CommandContext): Promise<ExitCode> {
  const files = options.from as readonly string[] | undefined;
  if (files === undefined) throw new UsageError('name the files with --from FILE…');
  const bytes = files.map(sizeOf).reduce((sum, size) => sum + size, 0);
  const progress = new Progress(terminal);
  const read = { bytes: 0 };
  const inferences: Inference[] = [];
  let unreadable = 0;
  for (const file of files) {
    const inference = new Inference(baseNameOf(file));
    for await (const { line, document, error } of readDocuments(counted(file, read))) {
      if (document !== undefined) inference.add(document);
      else if (++unreadable <= 20) terminal.note(`${file}:${line}: ${error}`);
      progress.show(read.bytes / bytes, file);
    }
    if (inference.count === 0) throw new UsageError(`${file} holds no document`);
    inferences.push(inference);
  }
  const sdl = inferredSdl(inferences);
  terminal.result({ sdl, unreadable }, sdl);
  if (unreadable === 0) return ExitCode.OK;
  terminal.note(`${unreadable} documents could not be read; the SDL comes from the others`);
  return ExitCode.DEGRADED;
}
