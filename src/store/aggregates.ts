import { anchorReads, anchorWrites } from './anchors.ts'
import { certificateReads, certificateWrites } from './certificates.ts'
import { crlReads, crlWrites } from './crls.ts'
import { deviceReads, deviceWrites } from './devices.ts'
import { eventReads, eventWrites } from './events.ts'
import { gatewayReads, gatewayWrites } from './gateways.ts'
import { profileReads, profileWrites } from './profiles.ts'
import { revocationReads, revocationWrites } from './revocations.ts'
import type { Sql } from './sql.ts'
import type { Reads, Writes } from './store.ts'
import { tokenReads, tokenWrites } from './tokens.ts'
import { truststoreReads, truststoreWrites } from './truststores.ts'

/** Every read over one connection. There is no write among them, by type and at run time. */
export const reads = (sql: Sql): Reads => ({
  devices: deviceReads(sql),
  tokens: tokenReads(sql),
  certificates: certificateReads(sql),
  revocations: revocationReads(sql),
  crls: crlReads(sql),
  anchors: anchorReads(sql),
  truststores: truststoreReads(sql),
  gateways: gatewayReads(sql),
  events: eventReads(sql),
  profiles: profileReads(sql),
})

/** Every read and write over the connection of one transaction. */
export const writes = (sql: Sql): Writes => ({
  devices: deviceWrites(sql),
  tokens: tokenWrites(sql),
  certificates: certificateWrites(sql),
  revocations: revocationWrites(sql),
  crls: crlWrites(sql),
  anchors: anchorWrites(sql),
  truststores: truststoreWrites(sql),
  gateways: gatewayWrites(sql),
  events: eventWrites(sql),
  profiles: profileWrites(sql),
})
