import type { Did } from '../../brands.ts';
import { describeServer } from '../../pds/client/server.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';
import { sessionOf } from '../../provisioning/account/adopt.ts';
import {
  type AccountHost,
  findHost,
  openAccountHost,
  reportProvider,
} from '../../provisioning/providers/provider-access.ts';
import { callWaiting } from '../../provisioning/queue/relay.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { sealForMapping } from '../../provisioning/secrets.ts';
import type { Change } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import { openFromChange } from '../changes/sealed.ts';
import { needsSource } from './progress.ts';

/** One end of a move: a PDS, and the run as if the member lived there. */
export type Station = { run: Run; host: AccountHost };

/** A move under way, as long as it can be taken back. */
export type Move = { run: Run; change: Change; did: Did; source: Station; target: Station };

/** The name under which the password of the new account is sealed for the change. */
export const NEW_PASSWORD = 'account_password';

/**
 * Both ends, if both would be asked now; the old one only where it still is. Throws Parked while one of them is down, or
 * wants to be left alone.
 */
export async function openStations(run: Run, change: Change): Promise<Move> {
  const old = needsSource(change) ? openUnasked(run, run) : findHost(run, reserved(run).provider_id);
  const source = { run, host: await old };
  const password = await openFromChange(run.vault, change, NEW_PASSWORD);
  const there = await runAt(run, String(change.wish.provider), Buffer.from(password).toString('utf8'));
  const target = { run: there, host: await openUnasked(run, there) };
  return { run, change, did: reserved(run).pds_did, source, target };
}

/** One end, if it may be asked now. Whose turn it is stands in `run.host` before: it is he who keeps the move. */
export async function openEnd(run: Run, at: Run): Promise<AccountHost> {
  await turnTo(run, await findHost(run, reserved(at).provider_id));
  const host = await openAccountHost(at);
  run.host = host;
  return host;
}

/**
 * The same of one that is not asked for anything yet: until then nobody hears that it is well. Who is let in as its probe
 * does ask, or nobody would hear of it.
 */
async function openUnasked(run: Run, at: Run): Promise<AccountHost> {
  const host = await openEnd(run, at);
  if (host.state.breaker_state === 'closed') {
    delete run.host;
  } else {
    await hold(run);
    await describeServer(host.pds);
  }
  return host;
}

/**
 * The run as it would be if the member's account were still to be made at this provider, under this password: so that all
 * that provisioning knows about making one, and about creations whose end nobody saw, holds there word for word. It
 * shares his row; only `create_started_at` may be written through it.
 */
export async function runAt(run: Run, providerId: string, password: string): Promise<Run> {
  const { identity, vault } = run;
  const { data_key_id } = reserved(run);
  const { host: _, ...rest } = run;
  return {
    ...rest,
    identity: {
      ...identity,
      provider_id: providerId,
      provisioning_step: 'reserved',
      account_password_sealed: await sealForMapping(
        vault,
        data_key_id,
        identity,
        'account_password_sealed',
        password,
      ),
    },
  };
}

/**
 * Turns to one end: from now on what goes wrong is its fault, and the others hear of that. Of the end before, they hear
 * now how it did.
 */
export async function turnTo(run: Run, host: AccountHost): Promise<void> {
  const before = run.host;
  run.host = host;
  if (before === undefined || before.provider.id === host.provider.id) return;
  const { recovered } = await reportProvider(run, before, before.trouble);
  if (recovered) await callWaiting(run, before.provider.id);
}

/**
 * Goes on without the end whose turn it is, after this error of its: the others hear of what was asked there and went
 * wrong, and nothing of one that was not asked.
 */
export function goWithout(run: Run, error: unknown): void {
  const request = requestOf(error);
  if (run.host && request) run.host.trouble = request;
  else delete run.host;
}

export type Owner = { pds: AccountHost['pds']; accessJwt: string };

/** The member's own account at one end, to be asked one thing: keeps the member for this worker meanwhile. */
export async function ownerAt(run: Run, station: Station, forMs?: number): Promise<Owner> {
  await turnTo(run, station.host);
  await hold(run, forMs);
  const { accessJwt } = await sessionOf(station.run, station.host);
  return { pds: station.host.pds, accessJwt };
}

/** Which end a request failed at, as far as a request failed. */
export function requestOf(error: unknown): XrpcError | undefined {
  if (error instanceof XrpcError) return error;
  return error instanceof Error && error.cause instanceof XrpcError ? error.cause : undefined;
}

/** For whom a PDS has written a session token: the DID by which it knows itself. Undefined of one that does not say. */
export function audienceOf({ accessJwt }: PdsSession): string | undefined {
  try {
    const { aud } = JSON.parse(Buffer.from(accessJwt.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return typeof aud === 'string' ? aud : undefined;
  } catch {
    return undefined;
  }
}
