import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** The files of an archive by their names, as the tar of this machine takes them out. */
export function untar(file: string, folder: string): Record<string, Buffer> {
  execFileSync('tar', ['xf', file, '-C', folder]);
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(path.join(folder, name)).isFile())
      .map((name) => [name, readFileSync(path.join(folder, name))]),
  );
}
