import * as audit from '../audit/api.ts';
import * as auth from '../auth/api.ts';
import type { Contract } from '../http/contract.ts';
import * as identity from '../identity/api.ts';
import * as lifecycle from '../lifecycle/api.ts';
import * as pds from '../pds/api.ts';
import * as provisioning from '../provisioning/api.ts';
import * as docs from './api.ts';

/**
 * The subsystems that have routes, and those, in the order in which a reader needs them. (A module's own names come
 * sorted by letter.) A test fails for a contract that is not listed.
 */
export const SUBSYSTEMS = {
  auth: {
    title: 'Logins and sessions',
    contracts: [
      auth.loginWidget,
      auth.loginMiniApp,
      auth.startOidcLogin,
      auth.finishOidcLogin,
      auth.telegramWebhook,
      auth.showLoginLink,
      auth.useLoginLink,
      auth.internalLogin,
      auth.exchangeCode,
      auth.getSession,
      auth.listSessions,
      auth.revokeSession,
      auth.revokeOtherSessions,
      auth.logout,
      auth.getSecondFactor,
      auth.enrollTotp,
      auth.confirmTotp,
      auth.stepUp,
      auth.renewRecoveryCodes,
      auth.disableTotp,
    ],
  },
  pds: {
    title: 'Identities',
    contracts: [
      pds.info,
      pds.retryProvision,
      pds.health,
      pds.healthChecks,
      pds.provisioningLog,
      pds.provision,
      pds.healthz,
    ],
  },
  lifecycle: {
    title: 'Custody, changes and leaving',
    contracts: [
      lifecycle.createBackup,
      lifecycle.listBackups,
      lifecycle.restoreBackup,
      lifecycle.revealCredentials,
      lifecycle.createAppPassword,
      lifecycle.listAppPasswords,
      lifecycle.revokeAppPassword,
      lifecycle.rotateKeys,
      lifecycle.renameHandle,
      lifecycle.listChanges,
      lifecycle.cancelChange,
      lifecycle.listProviders,
      lifecycle.moveIdentity,
      lifecycle.requestExport,
      lifecycle.listExports,
      lifecycle.downloadExport,
      lifecycle.getRecoveryKey,
      lifecycle.setRecoveryKey,
      lifecycle.removeRecoveryKey,
      lifecycle.makeRecoveryKey,
      lifecycle.requestHandOver,
      lifecycle.recoverByHandOver,
      lifecycle.recoverByCancelling,
      lifecycle.revokeIdentity,
      lifecycle.reactivateIdentity,
      lifecycle.deleteAccount,
      lifecycle.listOwnJoins,
      lifecycle.consentToJoin,
      lifecycle.refuseJoin,
      lifecycle.listOpenChanges,
      lifecycle.requestJoin,
      lifecycle.listJoins,
      lifecycle.approveJoin,
      lifecycle.withdrawJoin,
    ],
  },
  provisioning: {
    title: 'What was given up',
    contracts: [provisioning.listDeadLetters, provisioning.redriveWork, provisioning.redriveAll],
  },
  identity: { title: 'Resolution by host', contracts: [identity.didJson, identity.atprotoDid] },
  audit: { title: 'The audit log', contracts: [audit.exportLog, audit.verifyAudit] },
  docs: { title: 'This documentation', contracts: [docs.docsPage, docs.openapiJson] },
} as const satisfies Record<string, { title: string; contracts: readonly Contract[] }>;

export type Subsystem = keyof typeof SUBSYSTEMS;

/** The contract of every route, with the subsystem that owns it. */
export const CONTRACTS: readonly (Contract & { subsystem: Subsystem })[] = Object.entries(SUBSYSTEMS).flatMap(
  ([subsystem, { contracts }]) =>
    contracts.map((contract: Contract) => ({ ...contract, subsystem: subsystem as Subsystem })),
);
