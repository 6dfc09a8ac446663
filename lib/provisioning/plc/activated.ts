import { checkDirectory } from '../../pds/plc/directory.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import type { Run } from '../run.ts';
import { activate } from '../steps/activated.ts';
import { askDirectory } from './directory.ts';

/**
 * identity_published → activated, of a did:plc, whose account was born active: the PDS finds its own key and URL in the
 * PLC directory. While that is down it finds nothing: so we ask first.
 */
export async function activatePlc(run: Run, host: AccountHost): Promise<void> {
  await askDirectory(run, checkDirectory);
  await activate(run, host);
}
