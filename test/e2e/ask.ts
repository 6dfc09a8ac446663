import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { expectDocumented } from './documented.ts';

export type Answer = {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of it
  json: any;
};

export type AskOptions = {
  /** The Host header: which name is asked, e.g. a member's. */
  host?: string;
  cookie?: string | undefined;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, in place of `body`. */
  rawBody?: string | Uint8Array;
};

/**
 * One request over the wire, and whatever is answered. `json` is undefined for an answer that is none. Throws for an
 * answer that /api/openapi.json does not know.
 * @NOTE Node's fetch overwrites a Host header with the URL's host, hence http.request.
 */
export async function ask(
  { url }: { url: string },
  method: string,
  path: string,
  { host, cookie, headers, body, rawBody }: AskOptions = {},
): Promise<Answer> {
  const sent = rawBody ?? (body === undefined ? undefined : JSON.stringify(body));
  const outgoing = request(new URL(path, url), {
    method,
    headers: {
      ...(host !== undefined && { host }),
      ...(cookie !== undefined && { cookie }),
      ...(sent !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(sent),
      }),
      ...headers,
    },
  });
  outgoing.end(sent);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const { statusCode: status = 0, headers: received } = incoming;
  expectDocumented(method, path, { status, contentType: received['content-type'], text });
  return { status, headers: received, text, json: parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
