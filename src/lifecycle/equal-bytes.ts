/** Whether two byte strings are the same. For public values only: it takes no care to take equal time. */
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index])
