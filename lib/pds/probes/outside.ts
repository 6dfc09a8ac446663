import * as z from 'zod/mini';
import type { Did, Handle } from '../../brands.ts';
import { didHost, isDidWeb } from '../../identity/did.ts';
import type { PlcData } from '../../identity/plc/data.ts';
import type { HealthProblem } from '../health-problems.ts';
import { readPlcDocument } from '../plc/directory.ts';
import { PlcError } from '../plc/plc-error.ts';
import { readAtMost } from '../read-at-most.ts';
import type { Probed } from './probe.ts';

/** The world as anybody sees it: DNS, TLS, our edge, the PLC directory. */
export type Outside = {
  readonly fetch: typeof globalThis.fetch;
  /** PDS_PLC_URL */
  readonly plcUrl: string;
  /** For each of the two questions. */
  readonly timeoutMs: number;
};

const TIMEOUT_MS = 5_000;

/** The outside of this process. */
export function openOutside(
  { PDS_PLC_URL }: { PDS_PLC_URL: string },
  { timeoutMs = TIMEOUT_MS } = {},
): Outside {
  return { fetch: globalThis.fetch, plcUrl: PDS_PLC_URL, timeoutMs };
}

/** What the outside must be told about a member. */
export type PublicIdentity = {
  pds_did: Did;
  pds_handle: Handle;
  /** The PDS's public URL, as the DID document names it. */
  pds_endpoint: string;
  /** Multikey of the PDS's repo key. */
  atproto_public_key: string | null;
};

const LONGEST_ANSWER = 64 * 1024;
const didDocument = z.object({
  id: z.string(),
  alsoKnownAs: z.optional(z.array(z.string())),
  verificationMethod: z.optional(
    z.array(z.object({ id: z.string(), publicKeyMultibase: z.optional(z.string()) })),
  ),
  service: z.optional(z.array(z.object({ id: z.string(), serviceEndpoint: z.unknown() }))),
});

/**
 * Whether the DID document that the world reads (https://atproto.com/specs/did) is this member's: his DID, his handle,
 * his PDS and its key. Throws nothing.
 */
export function probeDocument(outside: Outside, identity: PublicIdentity): Promise<Probed> {
  const { pds_did: did } = identity;
  const question = { name: 'document', problem: 'DOCUMENT_WRONG' } as const;
  if (isDidWeb(did)) {
    const isRight = (text: string) => isDocumentOf(identity, text);
    return ask(outside, `https://${didHost(did)}/.well-known/did.json`, { ...question, isRight });
  }
  return judge(`${outside.plcUrl}/${did}`, question, async () => {
    const data = await readPlcDocument(outside, did);
    return data && isPlcEntryOf(identity, data) ? undefined : 'wrong';
  });
}

/** Whether the handle leads the world to the member's DID (https://atproto.com/specs/handle, HTTPS method). Throws nothing. */
export function probeHandle(
  outside: Outside,
  { pds_did, pds_handle }: Pick<PublicIdentity, 'pds_did' | 'pds_handle'>,
): Promise<Probed> {
  return ask(outside, `https://${pds_handle}/.well-known/atproto-did`, {
    name: 'handle',
    problem: 'HANDLE_WRONG',
    isRight: (text) => text.trim() === pds_did,
  });
}

function isDocumentOf(identity: PublicIdentity, text: string): boolean {
  const { success, data } = didDocument.safeParse(parseJson(text));
  if (!success) return false;
  const { id, alsoKnownAs = [], verificationMethod = [], service = [] } = data;
  const { pds_did, pds_handle, pds_endpoint, atproto_public_key } = identity;
  const isNamed = (fragment: string) => (entry: { id: string }) =>
    entry.id === fragment || entry.id === `${pds_did}${fragment}`;
  const key = verificationMethod.find(isNamed('#atproto'))?.publicKeyMultibase;
  return (
    id === pds_did &&
    alsoKnownAs.includes(`at://${pds_handle}`) &&
    service.find(isNamed('#atproto_pds'))?.serviceEndpoint === pds_endpoint &&
    key !== undefined &&
    (atproto_public_key === null || key === atproto_public_key)
  );
}

/** The directory has keys as did:key, where a document has them in a form for each kind. */
function isPlcEntryOf(
  { pds_handle, pds_endpoint, atproto_public_key }: PublicIdentity,
  { alsoKnownAs, services, verificationMethods }: PlcData,
): boolean {
  const { atproto } = verificationMethods;
  return (
    alsoKnownAs.includes(`at://${pds_handle}`) &&
    services.atproto_pds?.endpoint === pds_endpoint &&
    atproto !== undefined &&
    (atproto_public_key === null || atproto === `did:key:${atproto_public_key}`)
  );
}

type Question = { name: string; problem: HealthProblem };

/** Follows no redirect: our well-known paths have none, and what does redirect is not what we serve. */
function ask(
  { fetch, timeoutMs }: Outside,
  url: string,
  { isRight, ...question }: Question & { isRight: (text: string) => boolean },
): Promise<Probed> {
  const signal = AbortSignal.timeout(timeoutMs);
  return judge(url, question, async () => {
    const response = await fetch(url, { redirect: 'manual', signal });
    const text = await readAtMost(response, LONGEST_ANSWER);
    if (response.status !== 200) return `answered ${response.status}`;
    return text !== undefined && isRight(text) ? undefined : 'wrong';
  });
}

/** What came of looking at a URL: `look` says what is wrong there, if anything is. */
async function judge(
  url: string,
  { name, problem }: Question,
  look: () => Promise<string | undefined>,
): Promise<Probed> {
  const begun = performance.now();
  const ended = (status: Probed['status'], fault?: string, meaning = problem): Probed => ({
    status,
    responseTimeMs: Math.round(performance.now() - begun),
    details: { [name]: fault ?? 'right' },
    errorMessage: fault === undefined ? null : `${url}: ${fault}`,
    problem: fault === undefined ? undefined : meaning,
  });
  try {
    const fault = await look();
    return ended(fault === undefined ? 'success' : 'failed', fault);
  } catch (error) {
    const meaning = error instanceof PlcError && error.directoryDown ? 'PLC_DOWN' : problem;
    if (isTimeout(error)) return ended('timeout', 'no answer in time', meaning);
    if (!(error instanceof PlcError)) return ended('failed', 'unreachable');
    return ended('failed', error.status === undefined ? error.fault : `answered ${error.status}`, meaning);
  }
}

function isTimeout(error: unknown): boolean {
  if (error instanceof PlcError) return error.fault === 'timeout';
  return error instanceof Error && error.name === 'TimeoutError';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
