import * as z from 'zod/mini';
import type { Did } from '../../brands.ts';
import { type PlcData, plcData } from '../../identity/plc/data.ts';
import type { PlcOperation, Tombstone } from '../../identity/plc/operation.ts';
import { readAtMost } from '../read-at-most.ts';
import { PlcError, type PlcFault } from './plc-error.ts';

/** A PLC directory as we reach it. https://web.plc.directory/api/redoc */
export type PlcDirectory = {
  readonly fetch: typeof globalThis.fetch;
  /** PDS_PLC_URL: an origin. */
  readonly plcUrl: string;
  /** For one whole exchange. */
  readonly timeoutMs?: number;
};

const TIMEOUT_MS = 5_000;
/** An operation has at most 7,500 bytes, and a DID 30 of them a day. */
const LONGEST_ANSWER = 4 * 1024 * 1024;
const LONGEST_DETAIL = 200;

/**
 * What the directory says about a did:plc now, as anybody sees it: its rotation keys, its `#atproto` key (both as
 * did:key), `at://` handles and PDS. Undefined when there is no such DID, or no more. Throws PlcError.
 */
export async function readPlcDocument(directory: PlcDirectory, did: Did): Promise<PlcData | undefined> {
  try {
    const answer = await ask(directory, 'read', `/${did}/data`);
    const document = z.extend(plcData, { did: z.literal(did) }).safeParse(answer);
    if (!document.success) throw new PlcError('read', 'malformed');
    return document.data;
  } catch (error) {
    if (error instanceof PlcError && error.fault === 'not_found') return undefined;
    throw error;
  }
}

/**
 * Hands an operation in. Returns the error of a directory that refuses it: then it has had no effect (but may have had one
 * before, if it was handed in before). Throws PlcError for any other answer, or none: then the log tells.
 */
export async function submitOperation(
  directory: PlcDirectory,
  did: Did,
  operation: PlcOperation | Tombstone,
): Promise<PlcError | undefined> {
  try {
    await ask(directory, 'submit', `/${did}`, operation);
    return undefined;
  } catch (error) {
    if (error instanceof PlcError && error.fault === 'refused') return error;
    throw error;
  }
}

/** Throws PlcError unless the directory and its database answer. */
export async function checkDirectory(directory: PlcDirectory): Promise<void> {
  await ask(directory, 'check', '/_health');
}

/** One exchange: the JSON that it was answered with, if it asked for any. Throws PlcError. */
export async function ask(
  { fetch, plcUrl, timeoutMs = TIMEOUT_MS }: PlcDirectory,
  doing: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(`${plcUrl}${path}`, {
      method: body ? 'POST' : 'GET',
      redirect: 'manual',
      signal,
      headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const { status } = response;
    const text = await readAtMost(response, LONGEST_ANSWER);
    const succeeded = status >= 200 && status < 300;
    if (succeeded && body) return undefined;
    const answer = text && parseJson(text);
    if (succeeded && answer) return answer;
    const detail = messageOf(answer);
    throw new PlcError(doing, faultOf(status), { status, ...(detail && { detail }) });
  } catch (cause) {
    if (cause instanceof PlcError) throw cause;
    throw new PlcError(doing, signal.aborted ? 'timeout' : 'unreachable', { cause });
  }
}

function faultOf(status: number): PlcFault {
  if (status === 404 || status === 410) return 'not_found';
  if (status === 429 || status >= 500) return 'unavailable';
  return status >= 400 ? 'refused' : 'malformed';
}

const refusal = z.object({ message: z.string() });

function messageOf(answer: unknown): string | undefined {
  const { success, data } = refusal.safeParse(answer);
  return success ? data.message.slice(0, LONGEST_DETAIL) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
