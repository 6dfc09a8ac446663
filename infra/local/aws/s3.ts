import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { AwsError } from './aws-json.ts';
import { type ListeningServer, listen, readBody } from './http-server.ts';

export type S3Server = ListeningServer & { buckets: Set<string> };

const MAX_OBJECT_BYTES = 64 * 1024 * 1024;
const KEY = /^[\w!'()*-][\w!.'()*/-]*$/;

/**
 * As much of S3 as this app uses: PutObject of what is not there yet (`If-None-Match: *`), addressed by path. An object
 * is the file `<folder>/<bucket>/<key>`, made once and never written again, as under Object Lock. Signatures are not
 * checked. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
export async function startS3(folder: string): Promise<S3Server> {
  const buckets = new Set<string>();
  const server = createServer(async (request, response) => {
    try {
      const etag = await putObject({ folder, buckets }, request);
      response.writeHead(200, { etag: `"${etag}"` }).end();
    } catch (error) {
      const { type, message, status } =
        error instanceof AwsError ? error : new AwsError('InternalError', String(error), 500);
      const body = `<?xml version="1.0"?><Error><Code>${type}</Code><Message>${escapeXml(message)}</Message></Error>`;
      response.writeHead(status, { 'content-type': 'application/xml', connection: 'close' }).end(body);
    }
  });
  return { ...(await listen(server, { name: 'S3' })), buckets };
}

async function putObject(
  { folder, buckets }: { folder: string; buckets: ReadonlySet<string> },
  request: IncomingMessage,
): Promise<string> {
  if (request.method !== 'PUT' || request.headers['if-none-match'] !== '*')
    throw new AwsError('NotImplemented', 'only PutObject with If-None-Match: * is served here', 501);
  const { pathname } = new URL(request.url ?? '', 'http://s3');
  const [, bucket = '', name = ''] = /^\/([^/]+)\/(.+)$/.exec(pathname) ?? [];
  const key = decodeURIComponent(name);
  if (!buckets.has(bucket)) throw new AwsError('NoSuchBucket', `there is no bucket ${bucket}`, 404);
  if (!KEY.test(key) || key.split('/').includes('..')) throw new AwsError('InvalidArgument', 'no such key');
  const body = await readBody(
    request,
    MAX_OBJECT_BYTES,
    () => new AwsError('EntityTooLarge', 'the object is too large'),
  );
  const file = path.join(folder, bucket, key);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(file, body, { flag: 'wx', mode: 0o400, flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new AwsError('PreconditionFailed', `${key} is there already`, 412);
  }
  return createHash('md5').update(body).digest('hex');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
