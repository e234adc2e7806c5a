import type { Random } from '../../src/random/random.ts'

/** The same seed gives the same numbers on every machine (sfc32, 128 bits of state). Never for real keys. */
export const seededRandom = (seed = 1): Random => {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = seed | 0
  let counter = 1
  const next = (): number => {
    const result = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + result) | 0
    return result >>> 0
  }
  for (let round = 0; round < 16; round++) next()
  return {
    bytes: (length) => {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length; at++) bytes[at] = next() >>> 24
      return bytes
    },
    fraction: () => next() / 2 ** 32,
  }
}
