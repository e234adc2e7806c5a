/*
 * The least that a CRL costs: entries from serials in memory, one buffer, no check, no I/O. The serials lie end to end,
 * 16 octets each; the reasons are as the seed has them.
 */

const secondsPerDay = 86_400
const reasonOf = [1, 4, 5, 0]
const reasonPrefix = Uint8Array.from([0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01])

/** Content of revokedCertificates. `times`: Unix seconds. */
export const encodeRaw = (serials: Uint8Array, times: Float64Array): Uint8Array => {
  const count = times.length
  const bytes = Buffer.allocUnsafe(count * 49)
  const days = new Map<number, Uint8Array>()
  let offset = 0
  for (let index = 0; index < count; index += 1) {
    const reason = reasonOf[index & 3] ?? 0
    bytes[offset++] = 0x30
    bytes[offset++] = reason === 0 ? 33 : 47
    bytes[offset++] = 0x02
    bytes[offset++] = 16
    for (let octet = index * 16; octet < index * 16 + 16; octet += 1) bytes[offset++] = serials[octet] ?? 0
    bytes[offset++] = 0x17
    bytes[offset++] = 13
    const time = times[index] ?? 0
    const day = Math.floor(time / secondsPerDay)
    let prefix = days.get(day)
    if (prefix === undefined) {
      prefix = dayDigits(day)
      days.set(day, prefix)
    }
    for (let octet = 0; octet < 6; octet += 1) bytes[offset++] = prefix[octet] ?? 0
    const rest = time - day * secondsPerDay
    const hours = (rest / 3600) | 0
    const minutes = ((rest / 60) | 0) % 60
    const seconds = rest % 60
    bytes[offset++] = 0x30 + ((hours / 10) | 0)
    bytes[offset++] = 0x30 + (hours % 10)
    bytes[offset++] = 0x30 + ((minutes / 10) | 0)
    bytes[offset++] = 0x30 + (minutes % 10)
    bytes[offset++] = 0x30 + ((seconds / 10) | 0)
    bytes[offset++] = 0x30 + (seconds % 10)
    bytes[offset++] = 0x5a
    if (reason === 0) continue
    for (let octet = 0; octet < 13; octet += 1) bytes[offset++] = reasonPrefix[octet] ?? 0
    bytes[offset++] = reason
  }
  return bytes.subarray(0, offset)
}

const dayDigits = (day: number): Uint8Array =>
  Buffer.from(new Date(day * secondsPerDay * 1_000).toISOString().slice(2, 10).replaceAll('-', ''))
