import type * as z from 'zod/mini';
import { headersOf, lostAnswer, type PdsConnection, readAnswer, readBody, refusalOf } from './xrpc.ts';
import { XrpcError } from './xrpc-error.ts';

/** What is asked of one PDS in a transfer, as the account's owner. */
type End = { pds: PdsConnection; nsid: string; authorization: string };
type Source = End & { params: Readonly<Record<string, string>> };
/** `contentType`: of what is sent; by default as it came. */
type Target<Answer> = End & { contentType?: string; answer?: z.ZodMiniType<Answer> };
/** For the whole exchange in ms, and in bytes. */
type Limits = { timeoutMs: number; mostBytes: number };

/**
 * Carries what one PDS answers over to another one, as it comes: nothing is held that is not on its way, however large
 * it is. Throws an XrpcError that names the method of the PDS that was at fault, and nothing else.
 */
export async function transfer<Answer = void>(
  from: Source,
  to: Target<Answer>,
  { timeoutMs, mostBytes }: Limits,
): Promise<Answer> {
  const hangUp = new AbortController();
  const timeOut = AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([hangUp.signal, timeOut]);
  let sourceFault: XrpcError | undefined;
  try {
    const { body, contentType } = await openBytes(from, signal);
    const bytes = limited(body, from.nsid, mostBytes, (cause) => {
      sourceFault = lostAnswer(from.nsid, timeOut, cause);
      return sourceFault;
    });
    return await sendBytes({ contentType, ...to }, bytes, signal);
  } catch (cause) {
    // What breaks off at one end breaks off at the other, too.
    throw sourceFault ?? cause;
  } finally {
    hangUp.abort();
  }
}

/** A query whose answer is bytes. */
async function openBytes({ pds, nsid, params, authorization }: Source, signal: AbortSignal) {
  try {
    const response = await pds.fetch(`${pds.endpoint}/xrpc/${nsid}?${new URLSearchParams(params)}`, {
      redirect: 'manual',
      signal,
      // Not compressed: it would only be unpacked again here.
      headers: { accept: '*/*', 'accept-encoding': 'identity', ...headersOf(pds, authorization) },
    });
    if (!response.ok) throw refusalOf(nsid, await readBody(nsid, response), pds.now());
    const contentType = response.headers.get('content-type') ?? 'application/octet-stream';
    return { body: response.body ?? [], contentType };
  } catch (cause) {
    throw lostAnswer(nsid, signal, cause);
  }
}

/** A procedure whose input is bytes. */
async function sendBytes<Answer>(
  { pds, nsid, authorization, contentType, answer }: Target<Answer> & { contentType: string },
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Answer> {
  try {
    const response = await pds.fetch(`${pds.endpoint}/xrpc/${nsid}`, {
      method: 'POST',
      redirect: 'manual',
      signal,
      headers: {
        accept: 'application/json',
        'content-type': contentType,
        ...headersOf(pds, authorization),
      },
      body: ReadableStream.from(bytes),
      duplex: 'half',
    });
    return readAnswer(pds, { nsid, answer }, await readBody(nsid, response));
  } catch (cause) {
    throw lostAnswer(nsid, signal, cause);
  }
}

/** The bytes of a body; `fault` notes why they broke off, and names the error. */
async function* limited(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  nsid: string,
  mostBytes: number,
  fault: (cause: unknown) => XrpcError,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  const chunks = Symbol.asyncIterator in body ? body[Symbol.asyncIterator]() : body[Symbol.iterator]();
  try {
    for (;;) {
      const chunk = await chunks.next();
      if (chunk.done) return;
      size += chunk.value.byteLength;
      if (size > mostBytes)
        throw new XrpcError({ nsid, fault: 'malformed', detail: `more than ${mostBytes} bytes` });
      yield chunk.value;
    }
  } catch (cause) {
    throw fault(cause);
  }
}
