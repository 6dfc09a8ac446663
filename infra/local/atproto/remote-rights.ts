import path from 'node:path';
import { createInviteCode } from '../../../lib/pds/client/admin.ts';
import { readPrivateFile, writePrivateFile } from '../process/private-file.ts';
import { type Pds, pdsAdmin } from './pds.ts';

/** What the operator of the PDS that stands for somebody else's has given us. */
export type RemoteRights = 'invite' | 'admin' | 'none';

/** As many accounts as anybody makes on one machine. */
const USES = 1_000_000;

/**
 * The secrets that come from the operator of this PDS: an invite code, made once and kept under `dir`, its admin
 * password, or nothing.
 */
export async function remoteRightsOf(
  pds: Pds,
  { dir, rights }: { dir: string; rights: RemoteRights },
): Promise<{ PDS_REMOTE_INVITE_CODE?: string; PDS_REMOTE_ADMIN_PASSWORD?: string }> {
  if (rights === 'admin') return { PDS_REMOTE_ADMIN_PASSWORD: pds.adminPassword };
  if (rights === 'none') return {};
  const file = path.join(dir, 'invite-code.json');
  const kept = readPrivateFile<{ inviteCode: string }>(file);
  if (kept) return { PDS_REMOTE_INVITE_CODE: kept.inviteCode };
  const inviteCode = await createInviteCode(pdsAdmin(pds), { uses: USES });
  writePrivateFile(file, JSON.stringify({ inviteCode }));
  return { PDS_REMOTE_INVITE_CODE: inviteCode };
}
