import { Duration } from 'aws-cdk-lib';
import { TriggerFunction } from 'aws-cdk-lib/triggers';
import { Construct } from 'constructs';
import { describeFunction, functionId, type Ground } from '../function.ts';

const LIMIT = Duration.minutes(10);

/**
 * The migration: runs during the deployment whenever its code or the SQL beside it changed, and whatever needs the new
 * schema is deployed after it. The functions that run meanwhile still expect the old one: expand first, contract in a
 * later deployment. If it fails, the deployment fails and changes nothing else.
 */
export class Migration extends Construct {
  constructor(scope: Construct, id: string, ground: Ground) {
    super(scope, id);
    const needs = {
      subsystem: 'database',
      operation: 'migrate',
      role: 'owner',
      settings: ['DATABASE_URL'],
      timeout: LIMIT,
    } as const;
    const { props, grantTo } = describeFunction(this, ground, needs);
    const migrate = new TriggerFunction(this, functionId(needs), { ...props, timeout: LIMIT });
    grantTo(migrate);
    for (const role of ['api', 'worker'] as const) {
      const secret = ground.data.database.credentials[role];
      secret.grantRead(migrate);
      migrate.addEnvironment(`${role.toUpperCase()}_DATABASE_URL_SECRET_ARN`, secret.secretArn);
    }
  }
}
