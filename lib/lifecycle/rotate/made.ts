import type { Run } from '../../provisioning/run.ts';
import type { Change } from '../changes/change.ts';
import { openFromChange } from '../changes/sealed.ts';
import { textOf } from '../custody/bundle.ts';

/** What a rotation has made, by the names under which its change keeps it. */
export type MadeSecret = 'member_key' | 'account_password' | 'rotation_key';

/** What it knows besides: public halves, and what it found out on its way. Part of the change's `progress`. */
export type Found = {
  member_key?: string;
  rotation_key?: string;
  /** The member has taken our rotation key out of his did:plc: neither it nor the keys in the document can be changed. */
  not_ours?: boolean;
  /** The PLC directory was handed the operation that names the new keys: from then on it may have taken it. */
  handed_in?: boolean;
};

export function foundBy({ progress }: Change): Found {
  return progress as Found;
}

/** Whether nothing but secrets was made so far, of which nobody knows: then it can be dropped, and all is as it was. */
export function canBeDropped({ step, progress }: Pick<Change, 'step' | 'progress'>): boolean {
  return step === 'requested' || (step === 'prepared' && (progress as Found).handed_in !== true);
}

export function made({ sealed }: Change, name: MadeSecret): boolean {
  return sealed[name] !== undefined;
}

export function openMade({ vault }: Run, change: Change, name: MadeSecret): Promise<Uint8Array> {
  return openFromChange(vault, change, name);
}

export async function openMadePassword(run: Run, change: Change): Promise<string> {
  return textOf(await openMade(run, change, 'account_password'));
}
