/** Bytes or text that are not what the protocol says. The message names what, where, what was found and what would be right. */
export class ProtocolError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ProtocolError'
  }
}
