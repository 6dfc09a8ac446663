import { newK256Key, newMemberKey } from '../../identity/keys.ts';
import { capabilitiesOf } from '../../pds/provider.ts';
import { accountPassword } from '../../provisioning/account/adopt.ts';
import { findHost } from '../../provisioning/providers/provider-access.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { newAccountPassword } from '../../provisioning/secrets.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { sealForChange } from '../changes/sealed.ts';
import type { Found, MadeSecret } from './made.ts';

/**
 * requested → prepared: makes the member's new key, a new password where the provider lets us set one, and of a did:plc
 * our new rotation key; seals and stores them under the data key that his secrets will be sealed under. Once for each
 * rotation: whoever goes on with it uses these.
 */
export async function prepare(run: Run, change: Change, dataKeyId: string): Promise<void> {
  const { vault, random, identity } = run;
  const sealed: Partial<Record<MadeSecret, string>> = {};
  const seal = async (name: MadeSecret, secret: Uint8Array | string) => {
    sealed[name] = await sealForChange(vault, dataKeyId, change, name, secret);
    if (typeof secret !== 'string') secret.fill(0);
  };
  const memberKey = newMemberKey(random.bytes);
  const progress: Found = { member_key: memberKey.publicKeyMultibase };
  await seal('member_key', memberKey.privateKey);
  const { provider } = await findHost(run, reserved(run).provider_id);
  if (capabilitiesOf(provider).includes('reset_password')) {
    await seal('account_password', newAccountPassword(random.bytes));
  } else {
    // It stays; one that does not open any more must be found out before anything is changed.
    await accountPassword(run);
  }
  if (identity.did_method === 'plc') {
    const rotationKey = newK256Key(random.bytes);
    progress.rotation_key = rotationKey.publicKeyMultibase;
    await seal('rotation_key', rotationKey.privateKey);
  }
  await advance(run.sql, run, change, { step: 'prepared', progress, sealed, data_key_id: dataKeyId });
}
