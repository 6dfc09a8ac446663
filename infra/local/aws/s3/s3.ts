import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { AwsError } from '../aws-json.ts';
import { type ListeningServer, listen } from '../http-server.ts';
import { deleteObject, getObject, headObject, putObject } from './objects.ts';
import { expectSignature } from './presigned.ts';
import { abortUpload, beginUpload, completeUpload, putPart } from './uploads.ts';

/** `locked`: under Object Lock, where what was made is never written again or deleted. */
export type Bucket = { name: string; locked: boolean };
export type S3Server = ListeningServer & { addBucket(bucket: Bucket): void };

/** What is asked for. */
export type Asked = {
  request: IncomingMessage;
  response: ServerResponse;
  /** The folder of the bucket. */
  folder: string;
  bucket: Bucket;
  key: string;
  query: URLSearchParams;
};

/** The first characters keep what belongs to us alone (`.uploads`) from being a key. */
const KEY = /^[\w!'()*-][\w!.'()*/-]*$/;

/**
 * As much of S3 as this app uses, addressed by path: objects, multipart uploads, presigned URLs. An object is the file
 * `<folder>/<bucket>/<key>`. Who calls with a header is not checked, nothing but this machine reaches the port; a
 * presigned URL is, down to its end. https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
export async function startS3(folder: string, { secretAccessKey = 'local' } = {}): Promise<S3Server> {
  const buckets = new Map<string, Bucket>();
  const server = createServer(async (request, response) => {
    try {
      const url = new URL(request.url ?? '', 'http://s3');
      expectSignature(request, url, secretAccessKey);
      const [, name = '', path = ''] = /^\/([^/]+)\/(.+)$/.exec(url.pathname) ?? [];
      const bucket = buckets.get(name);
      const key = decodeURIComponent(path);
      if (!bucket) throw new AwsError('NoSuchBucket', `there is no bucket ${name}`, 404);
      if (!KEY.test(key) || key.split('/').includes('..'))
        throw new AwsError('InvalidArgument', 'no such key');
      const asked = { request, response, folder: `${folder}/${name}`, bucket, key, query: url.searchParams };
      await operationOf(asked)(asked);
    } catch (error) {
      refuse(request, response, error);
    }
  });
  return {
    ...(await listen(server, { name: 'S3' })),
    addBucket: (bucket) => void buckets.set(bucket.name, bucket),
  };
}

function operationOf({ request: { method }, query }: Asked): (asked: Asked) => Promise<void> {
  if (query.has('uploads') && method === 'POST') return beginUpload;
  if (query.has('uploadId')) {
    if (method === 'PUT') return putPart;
    if (method === 'POST') return completeUpload;
    if (method === 'DELETE') return abortUpload;
  }
  if (method === 'PUT') return putObject;
  if (method === 'GET') return getObject;
  if (method === 'HEAD') return headObject;
  if (method === 'DELETE') return deleteObject;
  throw new AwsError('NotImplemented', `${method} is not served here`, 501);
}

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const { type, message, status } =
    error instanceof AwsError ? error : new AwsError('InternalError', String(error), 500);
  if (response.headersSent) return void response.destroy();
  const escaped = message.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const body = `<?xml version="1.0"?><Error><Code>${type}</Code><Message>${escaped}</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml', connection: 'close' });
  response.end(request.method === 'HEAD' ? undefined : body);
}
