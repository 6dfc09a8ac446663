import type { Actions } from '../../provisioning/run.ts';
import { performDeletion } from '../delete/perform.ts';
import { handOver } from '../hand-over/perform.ts';
import { performJoin } from '../join/perform.ts';
import { move } from '../move/move.ts';
import { rename } from '../rename/rename.ts';
import { comeBack } from '../revoke/come-back.ts';
import { revoke } from '../revoke/revoke.ts';
import { rotateKeys } from '../rotate/rotate-keys.ts';
import { changeActions } from './perform.ts';

/** What the worker that changes identities does. */
export const CHANGES: Actions = changeActions({
  rename,
  revoke,
  come_back: comeBack,
  delete: performDeletion,
  hand_over: handOver,
  move,
  join: performJoin,
  rotate_keys: rotateKeys,
});
