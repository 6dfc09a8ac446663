import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Construct } from 'constructs';
import * as contracts from '../../lib/identity/api.ts';
import type { Ground } from '../function.ts';
import { addRoutes, HOST_SETTINGS } from '../routes.ts';
import { watchRoutes } from '../watch.ts';

/** DID documents and handles, by host name. */
export class Identity extends Construct {
  readonly watched;

  constructor(scope: Construct, id: string, ground: Ground & { api: HttpApi }) {
    super(scope, id);
    const functions = addRoutes(this, ground, 'identity', contracts, {
      didJson: { settings: HOST_SETTINGS },
      atprotoDid: { settings: HOST_SETTINGS },
    });
    this.watched = watchRoutes(this, 'identity', functions, ground.data.operators, {
      means:
        'DID documents or handles cannot be resolved: members vanish from the network until this is repaired.',
      todo:
        'read the log groups of the identity functions; the edge serves stale documents for a day, so repair the ' +
        'database or the last deployment first and do not purge the cache.',
    });
  }
}
