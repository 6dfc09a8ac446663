import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Construct } from 'constructs';
import * as contracts from '../../lib/lifecycle/api.ts';
import type { Ground } from '../function.ts';
import { addRoutes, VAULT_SETTINGS } from '../routes.ts';
import { watchRoutes } from '../watch.ts';

/** What a member does with the credentials that we keep for him. */
export class Lifecycle extends Construct {
  readonly watched;

  constructor(scope: Construct, id: string, ground: Ground & { api: HttpApi }) {
    super(scope, id);
    const functions = addRoutes(this, ground, 'lifecycle', contracts, {
      createBackup: { settings: VAULT_SETTINGS },
    });
    this.watched = watchRoutes(this, 'lifecycle', functions, ground.data.operators, {
      means: 'Members cannot back up their credentials or get at them. Identities themselves go on working.',
      todo:
        'read the log groups of the lifecycle functions for the error and its request id; if it is KMS, see the alarms ' +
        'of the data key.',
    });
  }
}
