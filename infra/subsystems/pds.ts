import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Construct } from 'constructs';
import * as contracts from '../../lib/pds/api.ts';
import type { Ground } from '../function.ts';
import { addRoutes, HOST_SETTINGS, SESSION_SETTINGS } from '../routes.ts';
import { watchRoutes } from '../watch.ts';

/** What a member, or an admin, sees and does about an identity. */
export class Pds extends Construct {
  readonly watched;

  constructor(scope: Construct, id: string, ground: Ground & { api: HttpApi }) {
    super(scope, id);
    const functions = addRoutes(this, ground, 'pds', contracts, {
      info: { settings: [...SESSION_SETTINGS, 'PDS_PROVISIONING_ENABLED'] },
      health: { settings: [...SESSION_SETTINGS, 'PDS_PROVISIONING_ENABLED', 'PDS_PLC_URL'] },
      healthChecks: { settings: SESSION_SETTINGS },
      provisioningLog: { settings: SESSION_SETTINGS },
      retryProvision: {
        settings: [...SESSION_SETTINGS, 'PDS_PROVISIONING_ENABLED', 'PROVISIONING_QUEUE_URL'],
      },
      // It waits up to 25 s for the worker.
      provision: {
        settings: [...SESSION_SETTINGS, 'PDS_PROVISIONING_ENABLED', 'PROVISIONING_QUEUE_URL'],
        timeout: Duration.seconds(29),
      },
      healthz: { settings: HOST_SETTINGS, timeout: Duration.seconds(5) },
    });
    this.watched = watchRoutes(this, 'pds', functions, ground.data.operators, {
      means: 'The pages about identities crash or time out. Identities themselves go on working.',
      todo: 'read the log groups of the pds functions for the error and its request id.',
    });
  }
}
