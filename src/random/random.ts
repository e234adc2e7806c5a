/** The only source of chance: serial numbers, tokens, jitter that is drawn once and stored. */
export interface Random {
  /** `length` bytes fit for keys and tokens. */
  bytes(length: number): Uint8Array
  /** A number in [0, 1), for jitter. */
  fraction(): number
}
