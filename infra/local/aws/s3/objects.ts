import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AwsError } from '../aws-json.ts';
import { readBody } from '../http-server.ts';
import type { Asked } from './s3.ts';

const MAX_OBJECT_BYTES = 64 * 1024 * 1024;

/** PutObject; under Object Lock, and with `If-None-Match: *`, of what is not there yet. */
export async function putObject({ request, response, folder, bucket, key }: Asked): Promise<void> {
  const body = await readObject(request);
  const file = path.join(folder, key);
  const once = request.headers['if-none-match'] === '*';
  if (bucket.locked && !once)
    throw new AwsError('NotImplemented', 'a locked bucket takes PutObject with If-None-Match: * only', 501);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  if (once) writeOnce(file, body, bucket.locked ? 0o400 : 0o600);
  else replaceFile(file, (fresh) => writeFileSync(fresh, body, { mode: 0o600 }));
  response.writeHead(200, { etag: `"${md5(body)}"` }).end();
}

/** GetObject, also a part of it (`Range: bytes=…`, one). */
export async function getObject({ request, response, folder, key, query }: Asked): Promise<void> {
  const file = path.join(folder, key);
  const size = sizeOf(file);
  const range = rangeOf(request.headers.range, size);
  const disposition = query.get('response-content-disposition');
  response.writeHead(range ? 206 : 200, {
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    'content-length': range ? range.end - range.start + 1 : size,
    ...(range && { 'content-range': `bytes ${range.start}-${range.end}/${size}` }),
    ...(disposition !== null && { 'content-disposition': disposition }),
  });
  await pipeline(createReadStream(file, range), response);
}

export async function headObject({ response, folder, key }: Asked): Promise<void> {
  response.writeHead(200, { 'content-length': sizeOf(path.join(folder, key)) }).end();
}

/** DeleteObject: also of what is not there. */
export async function deleteObject({ response, folder, bucket, key }: Asked): Promise<void> {
  if (bucket.locked) throw new AwsError('AccessDenied', 'the object is locked', 403);
  rmSync(path.join(folder, key), { force: true });
  response.writeHead(204).end();
}

export function readObject(request: Asked['request']): Promise<Buffer> {
  return readBody(request, MAX_OBJECT_BYTES, () => new AwsError('EntityTooLarge', 'the object is too large'));
}

export function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** Puts a file in the place of another one at once: nobody reads half of it. */
export function replaceFile(file: string, write: (fresh: string) => void): void {
  const fresh = `${file}.new`;
  write(fresh);
  renameSync(fresh, file);
}

function writeOnce(file: string, body: Buffer, mode: number): void {
  try {
    writeFileSync(file, body, { flag: 'wx', mode, flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new AwsError('PreconditionFailed', `${path.basename(file)} is there already`, 412);
  }
}

function sizeOf(file: string): number {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found?.isFile()) throw new AwsError('NoSuchKey', 'there is no such object', 404);
  return found.size;
}

/** RFC 9110 §14.1.2, one range. */
function rangeOf(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (start > end) throw new AwsError('InvalidRange', 'the range is not in the object', 416);
  return { start, end };
}
