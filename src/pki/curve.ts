import { toHex } from '../protocol/hex.ts'

/** Field prime p and coefficient b of y² = x³ - 3x + b (FIPS 186-5, SP 800-186 §3.2.1). */
const constants = {
  'P-256': {
    p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  'P-384': {
    p: 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffffn,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
} as const

/** Whether x and y, big-endian and of equal length, are the coordinates of a point of the curve. Both have prime order, so that is all there is to check. */
export const isOnCurve = (curve: keyof typeof constants, coordinates: Uint8Array): boolean => {
  const { p, b } = constants[curve]
  const half = coordinates.length / 2
  const x = BigInt(`0x${toHex(coordinates.subarray(0, half))}`)
  const y = BigInt(`0x${toHex(coordinates.subarray(half))}`)
  return x < p && y < p && (y * y - (x * x - 3n) * x - b) % p === 0n
}
