import { ProtocolError } from './error.ts'

export interface DerLimits {
  /** Levels of nesting; the outermost value is level 1. */
  depth: number
  /** Length of the whole input. */
  bytes: number
}

const defaultLimits: DerLimits = { depth: 16, bytes: 65_536 }

/** What a header says: where the content starts and where it ends. One is reused by the structure check, which allocates nothing else. */
interface Extent {
  contentStart: number
  end: number
}

const hexByte = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`

/** Universal types that may be constructed: EXTERNAL, EMBEDDED PDV, SEQUENCE, SET, CHARACTER STRING. Strings may not (X.690 §10.2). */
const mayBeConstructed = (number: number): boolean =>
  number === 16 || number === 17 || number === 8 || number === 11 || number === 29

const checkTag = (tag: number, offset: number): void => {
  const number = tag & 0x1f
  if (number === 0x1f)
    throw new ProtocolError(`DER at ${offset}: tag ${hexByte(tag)} has a number over 30, which X.509 never uses`)
  if (tag >= 0x40) return
  const constructed = (tag & 0x20) !== 0
  if (number === 0) throw new ProtocolError(`DER at ${offset}: tag ${hexByte(tag)} is reserved`)
  if (constructed && !mayBeConstructed(number)) {
    throw new ProtocolError(`DER at ${offset}: tag ${hexByte(tag)} is a string in pieces, which DER forbids`)
  }
  if (!constructed && (number === 16 || number === 17)) {
    throw new ProtocolError(`DER at ${offset}: tag ${hexByte(tag)} is a primitive SEQUENCE or SET`)
  }
}

/** Reads the header at `offset` of a value that must end by `limit`. */
const readHeader = (source: Uint8Array, offset: number, limit: number, into: Extent): number => {
  if (offset + 2 > limit) throw new ProtocolError(`DER at ${offset}: ends inside a header`)
  const tag = source[offset] ?? 0
  checkTag(tag, offset)
  const first = source[offset + 1] ?? 0
  let length = first
  let contentStart = offset + 2
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0) throw new ProtocolError(`DER at ${offset}: indefinite length, which DER forbids`)
    if (count > 4) throw new ProtocolError(`DER at ${offset}: a length of ${count} octets; 4 at most`)
    if (contentStart + count > limit) throw new ProtocolError(`DER at ${offset}: ends inside a length`)
    length = 0
    for (let index = 0; index < count; index += 1) length = length * 256 + (source[contentStart + index] ?? 0)
    if (length < 0x80 || length < 256 ** (count - 1)) {
      throw new ProtocolError(`DER at ${offset}: length ${length} takes ${count + 1} octets where fewer would do`)
    }
    contentStart += count
  }
  if (length > limit - contentStart) {
    throw new ProtocolError(
      `DER at ${offset}: claims ${length} octets of content where ${limit - contentStart} are left`,
    )
  }
  into.contentStart = contentStart
  into.end = contentStart + length
  return tag
}

/** Walks the whole tree once: every header sound, every child inside its parent, nothing deeper than `levels`. */
const checkStructure = (source: Uint8Array, start: number, limit: number, levels: number): void => {
  const extent: Extent = { contentStart: 0, end: 0 }
  let offset = start
  while (offset < limit) {
    const tag = readHeader(source, offset, limit, extent)
    const { contentStart, end } = extent
    if ((tag & 0x20) !== 0 && contentStart < end) {
      if (levels === 1) throw new ProtocolError(`DER at ${offset}: nested deeper than allowed`)
      checkStructure(source, contentStart, end, levels - 1)
    }
    offset = end
  }
}

/**
 * One value of a DER tree: a view into the input, nothing copied. Children are made when first asked for.
 * Offsets count from the start of the input that `readDer` was given.
 */
export class DerNode {
  /** The identifier octet: class, constructed bit and number, e.g. 0x30 for SEQUENCE. */
  readonly tag: number
  readonly offset: number
  private readonly source: Uint8Array
  private readonly contentStart: number
  private readonly end: number
  private knownChildren: DerNode[] | null = null

  constructor(source: Uint8Array, offset: number, limit: number) {
    const extent: Extent = { contentStart: 0, end: 0 }
    this.tag = readHeader(source, offset, limit, extent)
    this.offset = offset
    this.source = source
    this.contentStart = extent.contentStart
    this.end = extent.end
  }

  /** Tag, length and content. */
  get bytes(): Uint8Array {
    return this.source.subarray(this.offset, this.end)
  }

  get content(): Uint8Array {
    return this.source.subarray(this.contentStart, this.end)
  }

  /** Length of `bytes`. */
  get length(): number {
    return this.end - this.offset
  }

  get children(): readonly DerNode[] {
    if (this.knownChildren === null) {
      this.knownChildren = []
      for (let child = this.firstChild(); child !== null; child = this.childAfter(child)) this.knownChildren.push(child)
    }
    return this.knownChildren
  }

  /** The children one at a time and kept nowhere, for values with very many. */
  *eachChild(): Generator<DerNode> {
    for (let child = this.firstChild(); child !== null; child = this.childAfter(child)) yield child
  }

  private firstChild(): DerNode | null {
    if ((this.tag & 0x20) === 0) {
      throw new ProtocolError(`DER at ${this.offset}: tag ${hexByte(this.tag)} is primitive and has no elements`)
    }
    return this.contentStart < this.end ? new DerNode(this.source, this.contentStart, this.end) : null
  }

  private childAfter(child: DerNode): DerNode | null {
    return child.end < this.end ? new DerNode(this.source, child.end, this.end) : null
  }
}

/** Reads exactly one DER value (X.690 §10). Trailing octets, lengths that are indefinite, not minimal or lying, and excess depth are refused. */
export const readDer = (bytes: Uint8Array, limits: Partial<DerLimits> = {}): DerNode => {
  const { depth, bytes: maximum } = { ...defaultLimits, ...limits }
  if (bytes.length > maximum) throw new ProtocolError(`DER: ${bytes.length} octets; ${maximum} at most`)
  const node = new DerNode(bytes, 0, bytes.length)
  if (node.length !== bytes.length) {
    throw new ProtocolError(`DER: ${bytes.length - node.length} octets follow the value, which ends at ${node.length}`)
  }
  checkStructure(bytes, 0, bytes.length, depth)
  return node
}
