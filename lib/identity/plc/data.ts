import * as z from 'zod/mini';

/**
 * What the PLC directory holds about a DID, and every operation says anew. Keys are did:keys; rotation keys, which are
 * not part of the DID document, in order of power. https://web.plc.directory/spec/v0.1/did-plc
 */
export const plcData = z.object({
  rotationKeys: z.array(z.string()),
  verificationMethods: z.record(z.string(), z.string()),
  alsoKnownAs: z.array(z.string()),
  services: z.record(z.string(), z.strictObject({ type: z.string(), endpoint: z.string() })),
});
export type PlcData = z.output<typeof plcData>;
