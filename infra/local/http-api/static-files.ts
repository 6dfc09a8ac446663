import { readFile } from 'node:fs/promises';
import path from 'node:path';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.map': 'application/json',
};

/** The file that a URL path names in one of the folders; `/` is index.html. Never a file outside them. */
export async function findStaticFile(
  directories: readonly string[],
  urlPath: string,
): Promise<{ type: string; content: Buffer } | undefined> {
  const relative = decodePath(urlPath === '/' ? '/index.html' : urlPath);
  const type = TYPES[path.extname(relative ?? '')];
  if (relative === undefined || type === undefined) return undefined;
  for (const directory of directories) {
    const file = path.join(directory, relative);
    if (!file.startsWith(directory + path.sep)) continue;
    try {
      return { type, content: await readFile(file) };
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

function decodePath(urlPath: string): string | undefined {
  try {
    const decoded = decodeURIComponent(urlPath);
    return decoded.includes('\0') ? undefined : decoded;
  } catch {
    return undefined;
  }
}
