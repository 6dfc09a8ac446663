import type { Did, Handle } from '../../brands.ts';
import type { Queryable } from '../../db/connect.ts';
import { getRepoStatus } from '../../pds/client/accounts.ts';
import { describeServer } from '../../pds/client/server.ts';
import { readAtMost } from '../../pds/read-at-most.ts';
import { didOfEndpoint, type Strangers } from '../../pds/strangers.ts';
import type { PdsConnection } from '../../pds/xrpc.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';

/** What stands in the way of a target, if anything does. `lasting`: waiting does not help. */
export type Obstacle = { code: TargetProblem; lasting: boolean };
export type TargetProblem =
  | 'TARGET_UNREACHABLE'
  | 'TARGET_NOT_A_PDS'
  | 'ACCOUNT_NOT_THERE'
  | 'HANDLE_NOT_YOURS'
  | 'HANDLE_TAKEN'
  | 'ROTATION_KEYS_NOT_OURS'
  | 'ROTATION_KEYS_TOO_MANY'
  | 'PLC_REFUSED'
  | 'DID_ENDED';

type Deps = { strangers: Strangers; now: () => Date };

const TIMEOUT_MS = 5_000;
const LONGEST_ANSWER = 1024;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MOST_REDIRECTS = 3;

/** Whether a PDS answers at an endpoint, under the DID that belongs to it. */
export async function lookAtPds(deps: Deps, endpoint: string): Promise<Obstacle | undefined> {
  return obstacleOf(async () => {
    const { did } = await describeServer(connection(deps, endpoint));
    return did === didOfEndpoint(endpoint) ? undefined : { code: 'TARGET_NOT_A_PDS', lasting: true };
  });
}

/** Whether there is a PDS that has an account of this DID, active or waiting for its document to name it. */
export async function lookForAccount(
  deps: Deps,
  target: { endpoint: string; did: Did },
): Promise<Obstacle | undefined> {
  return (await lookAtPds(deps, target.endpoint)) ?? (await findAccount(deps, target));
}

/** The same of one that was looked at already. */
export async function findAccount(
  deps: Deps,
  { endpoint, did }: { endpoint: string; did: Did },
): Promise<Obstacle | undefined> {
  return obstacleOf(async () => {
    const { active, status } = await getRepoStatus(connection(deps, endpoint), did);
    return active || status === 'deactivated' ? undefined : { code: 'ACCOUNT_NOT_THERE', lasting: false };
  });
}

/** A PDS in trouble, and one that redirects or shows HTML for now, may be well in an hour; what it says itself counts. */
async function obstacleOf(look: () => Promise<Obstacle | undefined>): Promise<Obstacle | undefined> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof XrpcError)) throw error;
    if (error.fault === 'rejected') return { code: 'ACCOUNT_NOT_THERE', lasting: false };
    const code = error.fault === 'malformed' ? 'TARGET_NOT_A_PDS' : 'TARGET_UNREACHABLE';
    return { code, lasting: false };
  }
}

function connection({ strangers, now }: Deps, endpoint: string): PdsConnection {
  return { fetch: strangers.fetch, endpoint, timeoutMs: TIMEOUT_MS, now };
}

/** Whether a name lies in our domain: whose it is, our table says. */
export function isUnder(domain: string, handle: string): boolean {
  return handle === domain || handle.endsWith(`.${domain}`);
}

export async function isKeptFor(
  sql: Queryable,
  { userId, did, handle }: { userId: string; did: Did; handle: string },
): Promise<boolean> {
  const [kept] = await sql`
    SELECT FROM hostnames WHERE hostname = ${handle} AND kind = 'handle' AND user_id = ${userId} AND did = ${did}
      AND released_at IS NULL`;
  return kept !== undefined;
}

/** What stands in the way of the handle that a member names; null: the one that he has is to stay. */
export async function lookAtHandle(
  deps: { sql: Queryable; strangers: Strangers; domain: string },
  { userId, did, handle }: { userId: string; did: Did; handle: string | null },
): Promise<TargetProblem | undefined> {
  if (handle === null) return undefined;
  if (await isBorne(deps.sql, { userId, handle })) return 'HANDLE_TAKEN';
  return (await isOwnHandle(deps, { userId, did, handle: handle as Handle }))
    ? undefined
    : 'HANDLE_NOT_YOURS';
}

/** Whether another member bears it here: one of another domain, that led to him once and has another owner by now. */
export async function isBorne(
  sql: Queryable,
  { userId, handle }: { userId: string; handle: string },
): Promise<boolean> {
  const [other] = await sql`
    SELECT FROM user_pds_mapping WHERE pds_handle = ${handle} AND user_id <> ${userId}`;
  return other !== undefined;
}

/**
 * Whether a handle is the member's to bear: one under our domain if we keep it for him, any other if it leads to his DID
 * as the world resolves it (https://atproto.com/specs/handle#handle-resolution).
 */
async function isOwnHandle(
  { sql, strangers, domain }: { sql: Queryable; strangers: Strangers; domain: string },
  { userId, did, handle }: { userId: string; did: Did; handle: Handle },
): Promise<boolean> {
  if (isUnder(domain, handle)) return isKeptFor(sql, { userId, did, handle });
  const named = await strangers
    .resolveTxt(`_atproto.${handle}`)
    .then((records) => records.map((parts) => parts.join('')).filter((text) => text.startsWith('did=')))
    .catch(() => []);
  if (named.length > 0) return named.length === 1 && named[0] === `did=${did}`;
  try {
    const text = await readWellKnown(strangers, `https://${handle}/.well-known/atproto-did`);
    return text?.split('\n')[0]?.trim() === did;
  } catch {
    return false;
  }
}

/** @NOTE `@atproto/identity` follows redirects there, so the world does; each of them is to a stranger, as the first was. */
async function readWellKnown({ fetch }: Strangers, first: string): Promise<string | undefined> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  for (let url = first, hops = 0; hops <= MOST_REDIRECTS && url.startsWith('https://'); hops += 1) {
    const response = await fetch(url, { redirect: 'manual', signal });
    const text = await readAtMost(response, LONGEST_ANSWER);
    if (response.status === 200) return text;
    const location = response.headers.get('location');
    if (!REDIRECTS.has(response.status) || location === null) return undefined;
    url = new URL(location, url).href;
  }
  return undefined;
}
