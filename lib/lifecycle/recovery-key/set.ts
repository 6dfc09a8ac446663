import { expectStepUp, type StepUpNeed } from '../../auth/step-up.ts';
import type { Notice } from '../changes/notice.ts';
import type { ChangeDeps } from '../rotation-key/change.ts';
import { putOnTop, takeOut } from '../rotation-key/member-key.ts';
import { asPlcOwner, readOwner } from './owner.ts';
import { checkProof, type Proof } from './proof.ts';
import { register, unregister } from './register.ts';
import type { RecoveryKey } from './show.ts';

export type Changed = RecoveryKey & { changed: boolean };
type Deps = ChangeDeps & { notice: Pick<Notice, 'recoveryKey'> };
type Wish = Proof & { confirmation?: string | undefined; stepUp: StepUpNeed };

/**
 * Makes a key of the member's own his recovery key, in the place of one that he had before, once his signature shows that
 * he holds it: registers it for his did:web, or puts it at the top of the rotation keys of his did:plc. The step-up is
 * used up with it. Sent again it changes nothing.
 *
 * Throws `STEP_UP_REQUIRED`, `IDENTITY_NOT_READY`, `RECOVERY_KEY_INVALID`, `RECOVERY_KEY_NOT_PROVEN`, and what `register`
 * or `putOnTop` throws.
 */
export async function setRecoveryKey(deps: Deps, wish: Wish): Promise<Changed> {
  const { publicKey, confirmation, stepUp } = wish;
  await expectStepUp(deps.sql, stepUp);
  const owner = await readOwner(deps.sql, stepUp.userId);
  const ours = owner.rotation_public_key === null ? undefined : `did:key:${owner.rotation_public_key}`;
  checkProof(owner.pds_did, wish, { ours });
  return owner.did_method === 'web'
    ? register(deps, owner, { publicKey, confirmation, stepUp })
    : putOnTop(deps, asPlcOwner(owner), { publicKey, stepUp });
}

/** Takes one away. Throws `STEP_UP_REQUIRED`, `IDENTITY_NOT_READY`, and what `unregister` or `takeOut` throws. */
export async function removeRecoveryKey(
  deps: Deps,
  { key, stepUp }: { key: string; stepUp: StepUpNeed },
): Promise<Changed> {
  await expectStepUp(deps.sql, stepUp);
  const owner = await readOwner(deps.sql, stepUp.userId);
  return owner.did_method === 'web'
    ? unregister(deps, owner, { key, stepUp })
    : takeOut(deps, asPlcOwner(owner), { publicKey: key, stepUp });
}
