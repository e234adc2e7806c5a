/** Distinguished Encoding Rules (X.690 §10): a writer that can write nothing else, and a reader that accepts nothing else. */

export type { DerLimits } from './der-reader.ts'
export { DerNode, readDer } from './der-reader.ts'
export { readString, readTime } from './der-text.ts'
export type { Fields } from './der-values.ts'
export {
  expectTag,
  readBitString,
  readBoolean,
  readEnumerated,
  readFields,
  readInteger,
  readIntegerBytes,
  readNull,
  readObjectIdentifier,
  readOctetBitString,
  readOctetString,
  readOnly,
  readSmallInteger,
} from './der-values.ts'
export {
  bitString,
  boolean,
  concat,
  contextConstructed,
  contextPrimitive,
  enumerated,
  integer,
  namedBitString,
  nullValue,
  octetString,
  sequence,
  set,
  sortedForSet,
  tags,
} from './der-writer.ts'
export {
  ia5Bytes,
  ia5String,
  isPrintable,
  objectIdentifier,
  printableString,
  time,
  utf8String,
} from './der-writer-text.ts'
