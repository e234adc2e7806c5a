import { ProtocolError } from './error.ts'

const parseV4 = (text: string): number[] | null => {
  if (!/^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(text)) return null
  const octets = text.split('.').map(Number)
  return octets.every((octet) => octet <= 255) ? octets : null
}

/** Groups of one side of `::` as octets; the last may be a dotted IPv4 address. */
const parseGroups = (text: string): number[] | null => {
  if (text === '') return []
  const octets: number[] = []
  const groups = text.split(':')
  for (const [index, group] of groups.entries()) {
    if (index === groups.length - 1 && group.includes('.')) {
      const tail = parseV4(group)
      if (tail === null) return null
      octets.push(...tail)
    } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16)
      octets.push(value >> 8, value & 0xff)
    } else return null
  }
  return octets
}

const parseV6 = (text: string): number[] | null => {
  const sides = text.split('::')
  if (sides.length > 2) return null
  const head = parseGroups(sides[0] ?? '')
  const tail = parseGroups(sides[1] ?? '')
  if (head === null || tail === null) return null
  const missing = 16 - head.length - tail.length
  if (sides.length === 1) return missing === 0 ? head : null
  return missing >= 2 ? [...head, ...new Array<number>(missing).fill(0), ...tail] : null
}

/** The 4 or 16 octets of an address without zone or prefix length. */
export const parseIpAddress = (text: string): Uint8Array => {
  const octets = parseV4(text) ?? parseV6(text)
  if (octets === null) throw new ProtocolError(`IP address: '${text.slice(0, 64)}' is neither IPv4 nor IPv6`)
  return Uint8Array.from(octets)
}

/** Dotted decimal, or RFC 5952 §4: lower case, the first longest run of two or more zero groups as `::`. */
export const ipAddressText = (octets: Uint8Array): string => {
  if (octets.length === 4) return octets.join('.')
  if (octets.length !== 16) throw new ProtocolError(`IP address: ${octets.length} octets, expected 4 or 16`)
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((octets[2 * index] ?? 0) << 8) | (octets[2 * index + 1] ?? 0)).toString(16),
  )
  let best = { start: 0, length: 1 }
  for (let start = 0; start < 8; start += 1) {
    let length = 0
    while (groups[start + length] === '0') length += 1
    if (length > best.length) best = { start, length }
  }
  if (best.length < 2) return groups.join(':')
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`
}
