import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Construct } from 'constructs';
import * as contracts from '../../lib/audit/api.ts';
import type { Ground } from '../function.ts';
import { addRoutes, SESSION_SETTINGS } from '../routes.ts';
import { watchRoutes } from '../watch.ts';

/** The proof of the audit log: verified by an admin, downloaded by a member. */
export class Audit extends Construct {
  readonly watched;

  constructor(scope: Construct, id: string, ground: Ground & { api: HttpApi }) {
    super(scope, id);
    const functions = addRoutes(this, ground, 'audit', contracts, {
      exportLog: { settings: SESSION_SETTINGS },
      // It reads the whole log.
      verifyAudit: { settings: SESSION_SETTINGS, timeout: Duration.seconds(29) },
    });
    this.watched = watchRoutes(this, 'audit', functions, ground.data.operators, {
      means: 'The audit log cannot be verified or downloaded. What happens is written into it as before.',
      todo: 'read the log groups of the audit functions; `npm run audit:verify` verifies without them.',
    });
  }
}
