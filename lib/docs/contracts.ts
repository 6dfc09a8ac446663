import * as audit from '../audit/api.ts';
import * as auth from '../auth/api.ts';
import type { Contract } from '../http/contract.ts';
import * as identity from '../identity/api.ts';
import * as lifecycle from '../lifecycle/api.ts';
import * as pds from '../pds/api.ts';
import * as docs from './api.ts';

/** The subsystems that have routes, in the order in which a reader needs them. */
export const SUBSYSTEMS = {
  auth: { title: 'Logins and sessions', api: auth },
  pds: { title: 'Identities', api: pds },
  lifecycle: { title: 'Custody of the credentials', api: lifecycle },
  identity: { title: 'Resolution by host', api: identity },
  audit: { title: 'The audit log', api: audit },
  docs: { title: 'This documentation', api: docs },
} as const satisfies Record<string, { title: string; api: object }>;

export type Subsystem = keyof typeof SUBSYSTEMS;

/** The contract of every route, with the subsystem that owns it. */
export const CONTRACTS: readonly (Contract & { subsystem: Subsystem })[] = Object.entries(SUBSYSTEMS).flatMap(
  ([subsystem, { api }]) =>
    Object.values<object>(api)
      .filter((value): value is Contract => 'operationId' in value)
      .map((contract) => ({ ...contract, subsystem: subsystem as Subsystem })),
);
