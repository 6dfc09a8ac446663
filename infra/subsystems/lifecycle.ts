import { Duration, Stack } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as contracts from '../../lib/lifecycle/api.ts';
import { PROVIDER_SETTINGS } from '../../lib/pds/provider-settings.ts';
import { OPERATOR_NAMES } from '../../lib/provisioning/worker-settings.ts';
import { acceptExports } from '../accepted-findings.ts';
import type { Ground } from '../function.ts';
import { addRoutes, CHANGE_SETTINGS, HOST_SETTINGS, SESSION_SETTINGS, VAULT_SETTINGS } from '../routes.ts';
import { durations, failures, watchRoutes } from '../watch.ts';
import { addCleanUp } from './clean-up.ts';
import { addChanges, changeGraphs } from './lifecycle-changes.ts';
import { addRotation } from './lifecycle-rotation.ts';
import { addSweep } from './lifecycle-sweep.ts';
import { addTellOperators } from './tell-operators.ts';

const APP_PASSWORDS = [...VAULT_SETTINGS, ...PROVIDER_SETTINGS];

/** What a member does with the credentials that we keep for him, and what has its time. */
export class Lifecycle extends Construct {
  readonly watched;

  constructor(scope: Construct, id: string, ground: Ground & { api: HttpApi; changesQueue: IQueue }) {
    super(scope, id);
    const functions = addRoutes(this, ground, 'lifecycle', contracts, {
      createBackup: { settings: VAULT_SETTINGS },
      listBackups: { settings: SESSION_SETTINGS },
      // It asks KMS and the PDS, and waits for a worker that has the member (custody/prove.ts, restore.ts).
      restoreBackup: {
        settings: [
          ...VAULT_SETTINGS,
          ...PROVIDER_SETTINGS,
          'PDS_KEY_GRACE_DAYS',
          'PDS_PROVISIONING_ENABLED',
          'PROVISIONING_QUEUE_URL',
        ],
        timeout: Duration.seconds(29),
      },
      revealCredentials: { settings: VAULT_SETTINGS },
      // Each asks the PDS up to five times (lib/lifecycle/app-passwords/at-his-pds.ts).
      createAppPassword: { settings: APP_PASSWORDS, timeout: Duration.seconds(29) },
      listAppPasswords: { settings: APP_PASSWORDS, timeout: Duration.seconds(29) },
      revokeAppPassword: { settings: APP_PASSWORDS, timeout: Duration.seconds(29) },
      getRecoveryKey: { settings: [...SESSION_SETTINGS, 'PDS_PLC_URL'] },
      listProviders: { settings: SESSION_SETTINGS },
      moveIdentity: { settings: [...SESSION_SETTINGS, 'PDS_PROVISIONING_ENABLED', 'CHANGES_QUEUE_URL'] },
      listChanges: { settings: SESSION_SETTINGS },
      cancelChange: { settings: SESSION_SETTINGS },
      listOpenChanges: { settings: SESSION_SETTINGS },
      deleteAccount: { settings: [...SESSION_SETTINGS, 'PDS_TIMES'] },
      requestExport: { settings: [...VAULT_SETTINGS, 'PDS_PROVISIONING_ENABLED', 'CHANGES_QUEUE_URL'] },
      listExports: { settings: SESSION_SETTINGS },
      downloadExport: { settings: [...SESSION_SETTINGS, 'EXPORTS_BUCKET'] },
      listOwnJoins: { settings: SESSION_SETTINGS },
      consentToJoin: { settings: [...SESSION_SETTINGS, 'PDS_TIMES'] },
      refuseJoin: { settings: SESSION_SETTINGS },
      requestJoin: { settings: SESSION_SETTINGS },
      listJoins: { settings: SESSION_SETTINGS },
      approveJoin: { settings: [...SESSION_SETTINGS, 'PDS_TIMES'] },
      withdrawJoin: { settings: SESSION_SETTINGS },
      rotateKeys: { settings: [...SESSION_SETTINGS, 'PDS_PROVISIONING_ENABLED', 'CHANGES_QUEUE_URL'] },
      renameHandle: { settings: [...CHANGE_SETTINGS, ...OPERATOR_NAMES] },
      revokeIdentity: { settings: CHANGE_SETTINGS },
      reactivateIdentity: { settings: CHANGE_SETTINGS },
      // It asks the PLC directory four times (lib/lifecycle/rotation-key/change.ts).
      setRecoveryKey: {
        settings: [...VAULT_SETTINGS, 'PDS_PLC_URL', 'PDS_TIMES'],
        timeout: Duration.seconds(29),
      },
      removeRecoveryKey: {
        settings: [...VAULT_SETTINGS, 'PDS_PLC_URL', 'PDS_TIMES'],
        timeout: Duration.seconds(29),
      },
      makeRecoveryKey: { settings: SESSION_SETTINGS },
      // They ask a stranger twice, and who answers for a handle (lib/lifecycle/hand-over/request.ts); and the PLC directory.
      requestHandOver: {
        settings: [...SESSION_SETTINGS, 'PDS_PRIVATE_TARGETS', 'PDS_TIMES'],
        timeout: Duration.seconds(20),
      },
      recoverByHandOver: {
        settings: [...HOST_SETTINGS, 'PDS_PRIVATE_TARGETS', 'PDS_TIMES', 'PDS_PLC_URL'],
        timeout: Duration.seconds(25),
      },
      recoverByCancelling: { settings: [...HOST_SETTINGS, 'PDS_PLC_URL'] },
    });
    const others = [
      addTellOperators(this, ground),
      addCleanUp(this, ground),
      addChanges(this, ground),
      addRotation(this, ground),
    ];
    acceptExports(Stack.of(this), ground.data);
    const sweep = addSweep(this, ground);
    const { title, row } = watchRoutes(this, 'lifecycle', functions, ground.data.operators, {
      means:
        'Members cannot back up or restore their credentials or get at them. Identities themselves go on working.',
      todo:
        'read the log groups of the lifecycle functions for the error and its request id; if it is KMS, see the alarms ' +
        'of the data key. A restore that breaks off leaves everything as it was: the member can repeat it.',
    });
    this.watched = {
      title,
      row: [...row, durations(others), failures(others), ...changeGraphs(ground.changesQueue), ...sweep],
    };
  }
}
