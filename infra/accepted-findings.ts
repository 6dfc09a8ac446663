import { CfnElement, type Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * What cdk-nag (AwsSolutions) finds and we keep, with the reason. A test runs the checks; anything that stands not
 * here fails it. That no policy has a wildcard beyond the ones accepted here is tested on the templates, too.
 */
const ACCEPTED = {
  data: {
    'AwsSolutions-S1':
      'The roots of the audit log are written once a day by one function and locked; who reads them is no secret.',
    'AwsSolutions-SMG4':
      'Functions read a secret once, at start: a rotation by the clock would lock warm ones out. Ours are rotated by ' +
      'hand (infra/stacks/database.ts says how); the others belong to Telegram and to the PDS.',
  },
  functions: {
    'AwsSolutions-APIG4':
      'Sessions are checked in the handlers, with the one query they make anyway (lib/http/route.ts); an authorizer ' +
      'would be a second invocation and a cache of cookies.',
    'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]':
      'Writing logs: the policy that AWS keeps for exactly this.',
    'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole]':
      'Network interfaces in the VPC: the policy that AWS keeps for exactly this.',
    'AwsSolutions-IAM5[Resource::*]': 'X-Ray takes traces by no resource.',
  },
  edge: {
    'AwsSolutions-CFR1': 'Members and the network that resolves them are everywhere.',
    'AwsSolutions-CFR3':
      'Access logs of the edge would hold the address of everyone who looks at a member; the WAF counts what it ' +
      'blocks, and the API logs every request without an address.',
  },
} as const;

/** Accepts these findings for a stack. */
export function accept(stack: Stack, kind: keyof typeof ACCEPTED): void {
  const acknowledgments = Object.entries(ACCEPTED[kind]).map(([id, reason]) => ({ id, reason }));
  Validations.of(stack).acknowledge(...acknowledgments);
}

/** The one function that keeps the roots of the audit log writes objects whose names hold the time. */
export function acceptRoots(stack: Stack, data: Stack): void {
  Validations.of(stack).acknowledge({
    id: `AwsSolutions-IAM5[Resource::${data.stackName}:ExportsOutputFnGetAttauditroots50D0C8ECArn371B8A07/roots/*]`,
    reason: 'New objects below roots/ in the one bucket; what is there already is locked.',
  });
}

/** Exports have names of their own: who makes them, removes them, or signs URLs for them does so for any. */
export function acceptExports(stack: Stack, data: Stack): void {
  Validations.of(stack).acknowledge({
    id: `AwsSolutions-IAM5[Resource::${data.stackName}:ExportsOutputFnGetAttexports222B3037Arn4AD05C70/*]`,
    reason: 'All objects of the one bucket in which nothing but exports lies.',
  });
}

/** EventBridge Scheduler's role may invoke every version of its one function, and its queue is itself for the dead. */
export function acceptSchedule(stack: Stack, target: IConstruct, deadLetters: IConstruct): void {
  const { defaultChild } = target.node;
  const logicalId = CfnElement.isCfnElement(defaultChild) ? stack.getLogicalId(defaultChild) : '?';
  Validations.of(stack).acknowledge({
    id: `AwsSolutions-IAM5[Resource::<${logicalId}.Arn>:*]`,
    reason: 'All versions of the one function that the schedule invokes.',
  });
  Validations.of(deadLetters).acknowledge({
    id: 'AwsSolutions-SQS3',
    reason: 'It is a dead-letter queue: of a schedule, which the check does not look at.',
  });
}
