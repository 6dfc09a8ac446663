import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { AwsError } from '../aws-json.ts';

/**
 * Lets in who signs a header, whoever he is, and who has a URL that the holder of the key signed for just this and that
 * has not expired. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
export function expectSignature(request: IncomingMessage, url: URL, secretAccessKey: string): void {
  if (request.headers.authorization !== undefined) return;
  const query = url.searchParams;
  const given = query.get('X-Amz-Signature');
  const time = query.get('X-Amz-Date') ?? '';
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time) ?? [];
  const signedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (given === null || Number.isNaN(signedAt)) throw new AwsError('AccessDenied', 'Access Denied', 403);
  const expected = Buffer.from(signatureOf(request, url, { time, secretAccessKey }));
  const isRight = given.length === expected.length && timingSafeEqual(Buffer.from(given), expected);
  if (!isRight) throw new AwsError('SignatureDoesNotMatch', 'the signature is of something else', 403);
  if (Date.now() > signedAt + Number(query.get('X-Amz-Expires')) * 1000)
    throw new AwsError('AccessDenied', 'Request has expired', 403);
}

function signatureOf(
  { method = '', headers }: IncomingMessage,
  url: URL,
  { time, secretAccessKey }: { time: string; secretAccessKey: string },
): string {
  const scope = (url.searchParams.get('X-Amz-Credential') ?? '').split('/').slice(1);
  const query = [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const signed = (url.searchParams.get('X-Amz-SignedHeaders') ?? '').split(';');
  const canonicalHeaders = signed.map((name) => `${name}:${headers[name] ?? ''}\n`).join('');
  const canonical = [method, url.pathname, query, canonicalHeaders, signed.join(';'), 'UNSIGNED-PAYLOAD'];
  const hash = createHash('sha256').update(canonical.join('\n')).digest('hex');
  const toSign = ['AWS4-HMAC-SHA256', time, scope.join('/'), hash].join('\n');
  const key = scope.reduce<Buffer | string>((secret, part) => hmac(secret, part), `AWS4${secretAccessKey}`);
  return hmac(key, toSign).toString('hex');
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
