import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { AppError } from '../../../lib/app-error.ts';

/** Writes a file that only its owner may read, all of it or nothing: readers and a crash see the old or the new one. */
export function writePrivateFile(file: string, content: string): void {
  const unfinished = `${file}.unfinished`;
  const descriptor = openSync(unfinished, 'w', 0o600);
  try {
    writeSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(unfinished, file);
}

/** What `writePrivateFile` wrote as JSON; undefined when there is no such file. Throws FILE_BROKEN. */
export function readPrivateFile<T>(file: string): T | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new AppError(
      'FILE_BROKEN',
      `${file} is no JSON any more: restore it, or begin anew with npm run reset.`,
      {
        cause,
      },
    );
  }
}
