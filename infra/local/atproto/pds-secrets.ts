import { createECDH, randomBytes } from 'node:crypto';
import { readPrivateFile, writePrivateFile } from '../process/private-file.ts';

export type PdsSecrets = {
  jwtSecret: string;
  adminPassword: string;
  rateLimitBypassKey: string;
  /** k256 private key in hex: it signs did:plc operations of this PDS. */
  plcRotationKey: string;
};

/** Reads the secrets of a PDS, or makes them at its first start: another key would orphan its did:plc members. */
export function keepPdsSecrets(file: string): PdsSecrets {
  const kept = readPrivateFile<PdsSecrets>(file);
  if (kept) return kept;
  const curve = createECDH('secp256k1');
  curve.generateKeys();
  const secrets: PdsSecrets = {
    jwtSecret: randomBytes(32).toString('hex'),
    adminPassword: randomBytes(24).toString('base64url'),
    rateLimitBypassKey: randomBytes(24).toString('base64url'),
    plcRotationKey: curve.getPrivateKey('hex').padStart(64, '0'),
  };
  writePrivateFile(file, JSON.stringify(secrets, null, 2));
  return secrets;
}
