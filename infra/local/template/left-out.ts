/**
 * Resource types that have no counterpart on this machine and are left out on purpose. A reference to one of them
 * gives a placeholder. Any type that stands neither here nor in `resources/` fails the start.
 */
const LEFT_OUT = [
  // Permissions are not enforced locally: assertions on the template cover them.
  'AWS::IAM::*',
  'AWS::Lambda::Permission',
  'AWS::SQS::QueuePolicy',
  'AWS::SNS::TopicPolicy',
  'AWS::SecretsManager::ResourcePolicy',
  'AWS::S3::BucketPolicy',
  // The network is the loopback interface.
  'AWS::EC2::*',
  'AWS::RDS::DBSubnetGroup',
  'AWS::RDS::DBParameterGroup',
  'AWS::RDS::DBClusterParameterGroup',
  // What watches and what guards the edge.
  'AWS::Logs::*',
  'AWS::CloudWatch::*',
  'AWS::CloudFront::*',
  'AWS::WAFv2::*',
  'AWS::CertificateManager::*',
  'AWS::Route53::*',
  'AWS::SNS::Subscription',
  'AWS::CDK::Metadata',
  'AWS::Scheduler::ScheduleGroup',
  'AWS::SecretsManager::RotationSchedule',
  'AWS::ApplicationAutoScaling::*',
  'AWS::Backup::*',
  'AWS::CloudTrail::*',
  'Custom::VpcRestrictDefaultSG',
];

const names = new Set(LEFT_OUT.filter((name) => !name.endsWith('*')));
const prefixes = LEFT_OUT.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));

/** Whether resources of this type are left out locally. */
export function isLeftOut(type: string): boolean {
  return names.has(type) || prefixes.some((prefix) => type.startsWith(prefix));
}
