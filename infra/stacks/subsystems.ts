import { type App, Stack } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { accept } from '../accepted-findings.ts';
import type { Ground } from '../function.ts';
import { Audit } from '../subsystems/audit.ts';
import { Auth } from '../subsystems/auth.ts';
import { Docs } from '../subsystems/docs.ts';
import { Identity } from '../subsystems/identity.ts';
import { Lifecycle } from '../subsystems/lifecycle.ts';
import { Pds } from '../subsystems/pds.ts';
import { Provisioning } from '../subsystems/provisioning.ts';

/**
 * Everything that can be made again: functions, routes, queues, schedules. Each subsystem has a stack of its own, since
 * one for all outgrows what CloudFormation takes. In the order of their rows on the dashboard.
 */
export function addSubsystems(app: App, base: Ground & { readonly api: HttpApi }) {
  const stackOf = (subsystem: string): Stack => {
    const stack = new Stack(app, `${base.stage.name}-${subsystem}`, {
      description: `PDS provisioning: functions, routes, queues and schedules of ${subsystem}`,
      env: { region: base.stage.region },
    });
    stack.addStackDependency(Stack.of(base.api), 'The migration comes first');
    accept(stack, 'functions');
    return stack;
  };
  const provisioning = new Provisioning(stackOf('provisioning'), 'provisioning', base);
  const { queue, changesQueue } = provisioning;
  const ground = { ...base, queue, changesQueue };
  return [
    new Identity(stackOf('identity'), 'identity', ground),
    new Auth(stackOf('auth'), 'auth', ground),
    new Pds(stackOf('pds'), 'pds', ground),
    new Lifecycle(stackOf('lifecycle'), 'lifecycle', ground),
    new Audit(stackOf('audit'), 'audit', ground),
    new Docs(stackOf('docs'), 'docs', ground),
    provisioning,
  ];
}
