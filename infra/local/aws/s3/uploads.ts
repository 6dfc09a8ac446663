import { randomUUID } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { AwsError } from '../aws-json.ts';
import { readBody } from '../http-server.ts';
import { md5, readObject, replaceFile } from './objects.ts';
import type { Asked } from './s3.ts';

const LEAST_PART_BYTES = 5 * 1024 * 1024;
const MAX_PARTS = 10_000;
const MAX_LIST_BYTES = 4 * 1024 * 1024;

/** CreateMultipartUpload. Its parts lie in `.uploads` until it is completed; the platform may stop meanwhile. */
export async function beginUpload({ response, folder, bucket, key }: Asked): Promise<void> {
  if (bucket.locked) throw new AwsError('NotImplemented', 'no multipart uploads to a locked bucket', 501);
  const id = randomUUID();
  const parts = path.join(folder, '.uploads', id);
  mkdirSync(parts, { recursive: true, mode: 0o700 });
  writeFileSync(path.join(parts, 'key'), key, { mode: 0o600 });
  answer(
    response,
    `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
  );
}

/** UploadPart: takes the place of a part of the same number. */
export async function putPart(asked: Asked): Promise<void> {
  const parts = folderOf(asked);
  const number = Number(asked.query.get('partNumber'));
  if (!Number.isInteger(number) || number < 1 || number > MAX_PARTS)
    throw new AwsError('InvalidArgument', 'partNumber is 1 to 10000');
  const body = await readObject(asked.request);
  const etag = md5(body);
  for (const other of partsOf(parts, number)) rmSync(path.join(parts, other));
  writeFileSync(path.join(parts, `${number}.${etag}`), body, { mode: 0o600 });
  asked.response.writeHead(200, { etag: `"${etag}"` }).end();
}

/** CompleteMultipartUpload: all parts as they were when their ETags were told, each but the last of 5 MiB at least. */
export async function completeUpload(asked: Asked): Promise<void> {
  const { request, response, folder, key } = asked;
  const parts = folderOf(asked);
  const list = await readBody(request, MAX_LIST_BYTES, () => new AwsError('MalformedXML', 'too long'));
  const named = [...list.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => {
    const [, number = ''] = /<PartNumber>(\d+)<\/PartNumber>/.exec(part) ?? [];
    const [, etag = ''] = /<ETag>(?:"|&quot;)?([0-9a-f]{32})(?:"|&quot;)?<\/ETag>/.exec(part) ?? [];
    return path.join(parts, `${number}.${etag}`);
  });
  if (named.length === 0) throw new AwsError('MalformedXML', 'it names no part');
  if (!named.every((file) => existsSync(file))) throw new AwsError('InvalidPart', 'a part is not there');
  const file = path.join(folder, key);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  replaceFile(file, (fresh) => {
    writeFileSync(fresh, '', { mode: 0o600 });
    named.forEach((part, index) => {
      const bytes = readFileSync(part);
      if (bytes.length < LEAST_PART_BYTES && index < named.length - 1)
        throw new AwsError('EntityTooSmall', 'a part before the last has less than 5 MiB');
      appendFileSync(fresh, bytes);
    });
  });
  rmSync(parts, { recursive: true });
  answer(response, `<CompleteMultipartUploadResult><Key>${key}</Key></CompleteMultipartUploadResult>`);
}

export async function abortUpload(asked: Asked): Promise<void> {
  rmSync(folderOf(asked), { recursive: true });
  asked.response.writeHead(204).end();
}

function folderOf({ folder, key, query }: Asked): string {
  const id = query.get('uploadId') ?? '';
  const parts = path.join(folder, '.uploads', id);
  const isThere = /^[0-9a-f-]{36}$/.test(id) && existsSync(parts);
  if (!isThere || readFileSync(path.join(parts, 'key'), 'utf8') !== key)
    throw new AwsError('NoSuchUpload', 'there is no such upload', 404);
  return parts;
}

function partsOf(parts: string, number: number): string[] {
  return readdirSync(parts).filter((name) => name.startsWith(`${number}.`));
}

function answer(response: Asked['response'], xml: string): void {
  response.writeHead(200, { 'content-type': 'application/xml' }).end(`<?xml version="1.0"?>${xml}`);
}
