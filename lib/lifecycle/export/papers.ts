import { exportOwnLog } from '../../audit/export.ts';
import type { Did } from '../../brands.ts';
import { didHost } from '../../identity/did.ts';
import { findIdentityByHost } from '../../identity/hostnames.ts';
import { serveDidJson } from '../../identity/serve.ts';
import { readPlcEntries } from '../../pds/plc/read-log.ts';
import { isNotOffered, XrpcError } from '../../pds/xrpc-error.ts';
import { askDirectory } from '../../provisioning/plc/directory.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { type Archive, addText } from './archive.ts';
import { asUser } from './as-user.ts';
import { readPreferences, type Source } from './source.ts';

/** More than any member has; the worker has room for them. */
const MOST_LOG_ENTRIES = 200_000;

/** What the papers publish: the keys by which an archive may be signed, as Multikeys, by their names. */
export type Published = { keys: ReadonlyMap<string, string> };

/**
 * Adds everything about an identity that is not in its repository: preferences, the DID document or the log of the DID,
 * the audit log with its proof, and who is who. All of it as it is now, at the end.
 */
export async function addPapers(archive: Archive, source: Source | undefined): Promise<Published> {
  const { run, wanted, pace } = archive;
  const { identity, sql } = run;
  await pace();
  const preferences = source && (await preferencesOf(run, source));
  if (preferences) await addJson(archive, 'preferences.json', { preferences });
  else leaveOut(archive, 'preferences', 'Your PDS keeps none, or does not give them out.');
  const { name, content, keys } = await documentOf(run);
  await addText(archive, name, content);
  await addJson(archive, 'account.json', {
    did: identity.pds_did,
    handle: identity.pds_handle,
    pds_endpoint: identity.pds_endpoint,
    status: identity.status,
    pnptv_uuid: identity.pnptv_uuid,
    account_email: identity.account_email,
    repo_key: identity.atproto_public_key,
    member_key: identity.pds_public_key,
    rotation_key: identity.rotation_public_key,
  });
  const log = await exportOwnLog({ sql }, asUser(sql, wanted.user_id), MOST_LOG_ENTRIES);
  await addJson(archive, 'audit-log.json', log);
  return { keys };
}

/** Notes, once, what does not come into an archive, and why. */
export function leaveOut({ wanted: { progress } }: Pick<Archive, 'wanted'>, what: string, why: string): void {
  const others = (progress.left_out ?? []).filter((one) => one.what !== what);
  progress.left_out = [...others, { what, why }];
}

async function addJson(archive: Archive, name: string, value: object): Promise<void> {
  await addText(archive, name, `${JSON.stringify(value, null, 2)}\n`);
}

/** What a PDS gives out that is none, again and again, does not keep the rest back. */
async function preferencesOf({ work }: Run, source: Source): Promise<unknown[] | undefined> {
  try {
    return await readPreferences(source);
  } catch (error) {
    const isLast = work.attemptCount + 1 >= work.maxAttempts;
    const isNonsense = error instanceof XrpcError && ['malformed', 'server_error'].includes(error.fault);
    if (isNotOffered(error) || (isLast && isNonsense)) return undefined;
    throw error;
  }
}

async function documentOf(run: Run): Promise<Published & { name: string; content: string }> {
  const { pds_did: did } = reserved(run);
  if (run.identity.did_method === 'plc') {
    const { entries, log } = await askDirectory(run, (directory) => readPlcEntries(directory, did));
    const methods = Object.entries(log.data?.verificationMethods ?? {});
    const keys = new Map([
      ...methods.map(([id, didKey]) => [`${did}#${id}`, multikeyOf(didKey)] as const),
      ...(log.data?.rotationKeys ?? []).map((didKey) => [didKey, multikeyOf(didKey)] as const),
    ]);
    return { name: 'plc-log.json', content: `${JSON.stringify(entries, null, 2)}\n`, keys };
  }
  return documentOfWeb(run, did);
}

async function documentOfWeb({ sql, now }: Run, did: Did) {
  const { body } = serveDidJson(await findIdentityByHost(sql, didHost(did)), now());
  const { verificationMethod } = JSON.parse(body) as {
    verificationMethod: { id: string; publicKeyMultibase: string }[];
  };
  const keys = new Map(verificationMethod.map(({ id, publicKeyMultibase }) => [id, publicKeyMultibase]));
  return { name: 'did.json', content: body, keys };
}

function multikeyOf(didKey: string): string {
  return didKey.replace(/^did:key:/, '');
}
