import type { Actions } from '../../provisioning/run.ts';
import { changeActions } from './perform.ts';

/** What the worker that changes identities does. */
export const CHANGES: Actions = changeActions({});
