import { readAtMost } from './read-at-most.ts';
import { connectionFault, headersOf, type PdsConnection, refusalOf } from './xrpc.ts';
import { XrpcError } from './xrpc-error.ts';

export type StreamRequest = {
  nsid: string;
  params: Readonly<Record<string, string>>;
  authorization?: string | undefined;
};

const LONGEST_REFUSAL = 16 * 1024;

/**
 * The bytes that a query (GET) is answered with, as they come: however many, as long as none keeps us waiting longer than
 * the connection's time-out. Follows no redirect. Throws XrpcError and nothing else: `interrupted` also for an answer that
 * is shorter than it says.
 */
export async function* streamXrpc(
  pds: PdsConnection,
  { nsid, params, authorization }: StreamRequest,
): AsyncGenerator<Uint8Array> {
  const silence = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const waitAnew = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), pds.timeoutMs);
  };
  try {
    waitAnew();
    const response = await pds.fetch(`${pds.endpoint}/xrpc/${nsid}?${new URLSearchParams(params)}`, {
      redirect: 'manual',
      signal: silence.signal,
      headers: { accept: '*/*', 'accept-encoding': 'identity', ...headersOf(pds, authorization) },
    });
    const { status, headers, body } = response;
    if (status < 200 || status >= 300) {
      const text = (await readAtMost(response, LONGEST_REFUSAL)) ?? '';
      throw refusalOf(nsid, { status, headers, text }, pds.now());
    }
    let size = 0;
    for await (const chunk of body ?? []) {
      size += chunk.byteLength;
      clearTimeout(timer);
      yield chunk;
      waitAnew();
    }
    const promised = headers.get('content-length');
    if (promised !== null && Number(promised) !== size) throw new XrpcError({ nsid, fault: 'interrupted' });
  } catch (cause) {
    if (cause instanceof XrpcError) throw cause;
    throw new XrpcError({ nsid, fault: silence.signal.aborted ? 'timeout' : connectionFault(cause), cause });
  } finally {
    clearTimeout(timer);
  }
}
