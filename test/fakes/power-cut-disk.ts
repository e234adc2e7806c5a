import { basename, dirname } from 'node:path'
import type { Disk } from '../../src/agent/disk.ts'

/** Thrown by every effect from the cut on: the process is dead. */
export class PowerCut extends Error {}

/** What a file system may have kept of what was never synced; names and contents reach a disk in any order. */
export const survivals = [
  'everything',
  'only what was synced',
  'names without contents',
  'contents without names',
] as const
export type Survival = (typeof survivals)[number]

interface FileNode {
  kind: 'file'
  content: Uint8Array
  synced: Uint8Array
  mode: number
}
interface LinkNode {
  kind: 'link'
  target: string
}
interface DirectoryNode {
  kind: 'directory'
  names: Map<string, Node>
  synced: Map<string, Node>
}
type Node = FileNode | LinkNode | DirectoryNode

const empty = new Uint8Array()
const directory = (): DirectoryNode => ({ kind: 'directory', names: new Map(), synced: new Map() })

const survive = (node: Node, survival: Survival): Node => {
  const keepsNames = survival === 'everything' || survival === 'names without contents'
  const keepsContents = survival === 'everything' || survival === 'contents without names'
  if (node.kind === 'link') return node
  if (node.kind === 'file') {
    const content = keepsContents ? node.content : node.synced
    return { ...node, content, synced: content }
  }
  const kept = [...(keepsNames ? node.names : node.synced)].map(
    ([name, child]) => [name, survive(child, survival)] as const,
  )
  return { kind: 'directory', names: new Map(kept), synced: new Map(kept) }
}

/** Counts effects and ends the process at one of them. */
export class Fuse {
  /** The effects so far, by name. */
  readonly reached: string[] = []
  private readonly at: number
  private readonly torn: boolean
  private blown = false

  /** Ends before effect number `at` (from 0) is done; with `torn`, half through it where that can be. Never, when `at` is null. */
  constructor(at: number | null = null, torn = false) {
    this.at = at ?? Number.POSITIVE_INFINITY
    this.torn = torn
  }

  get isBlown(): boolean {
    return this.blown
  }

  effect(name: string, half?: () => void): void {
    if (this.blown) throw new PowerCut(`dead before ${name}`)
    if (this.reached.length === this.at) {
      if (this.torn) half?.()
      this.blown = true
      throw new PowerCut(`cut at ${name}`)
    }
    this.reached.push(name)
  }
}

/** A disk in memory that forgets, at a power cut, what was not synced. */
export class PowerCutDisk implements Disk {
  fuse = new Fuse()
  private tree: DirectoryNode

  constructor(tree: DirectoryNode = directory()) {
    this.tree = tree
  }

  /** The disk after the power came back. */
  afterCut(survival: Survival): PowerCutDisk {
    return new PowerCutDisk(survive(this.tree, survival) as DirectoryNode)
  }

  /** The mode that a file was created with. */
  modeOf(path: string): number | null {
    const node = this.find(path)
    return node?.kind === 'file' ? node.mode : null
  }

  private find(path: string): Node | null {
    let node: Node = this.tree
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (node.kind !== 'directory') return null
      const child: Node | undefined = node.names.get(name)
      if (child === undefined) return null
      node = child
    }
    return node
  }

  private folder(path: string): DirectoryNode {
    const node = this.find(path)
    if (node?.kind !== 'directory') throw new Error(`ENOENT: no directory ${path}`)
    return node
  }

  read(path: string): Uint8Array | null {
    const node = this.find(path)
    return node?.kind === 'file' ? node.content : null
  }

  readLink(path: string): string | null {
    const node = this.find(path)
    return node?.kind === 'link' ? node.target : null
  }

  list(path: string): string[] {
    const node = this.find(path)
    return node?.kind === 'directory' ? [...node.names.keys()] : []
  }

  private put(path: string, content: Uint8Array, mode: number): void {
    const { names } = this.folder(dirname(path))
    const present = names.get(basename(path))
    if (present?.kind === 'file') present.content = content
    else names.set(basename(path), { kind: 'file', content, synced: empty, mode })
  }

  write(path: string, bytes: Uint8Array, mode: number): void {
    this.fuse.effect(`write ${path}`, () => this.put(path, bytes.slice(0, bytes.length / 2), mode))
    this.put(path, bytes, mode)
  }

  syncFile(path: string): void {
    this.fuse.effect(`sync ${path}`)
    const node = this.find(path)
    if (node?.kind !== 'file') throw new Error(`ENOENT: no file ${path}`)
    node.synced = node.content
  }

  syncDirectory(path: string): void {
    this.fuse.effect(`sync directory ${path}`)
    const node = this.folder(path)
    node.synced = new Map(node.names)
  }

  makeDirectory(path: string): string | null {
    if (this.find(path) !== null) return null
    const above = this.makeDirectory(dirname(path))
    this.fuse.effect(`make directory ${path}`)
    this.folder(dirname(path)).names.set(basename(path), directory())
    return above ?? path
  }

  symlink(target: string, path: string): void {
    this.fuse.effect(`symlink ${path}`)
    const { names } = this.folder(dirname(path))
    if (names.has(basename(path))) throw new Error(`EEXIST: ${path}`)
    names.set(basename(path), { kind: 'link', target })
  }

  link(existing: string, path: string): boolean {
    this.fuse.effect(`link ${path}`)
    const node = this.find(existing)
    const { names } = this.folder(dirname(path))
    if (node === null || names.has(basename(path))) return false
    names.set(basename(path), node)
    return true
  }

  rename(from: string, to: string): void {
    this.fuse.effect(`rename to ${to}`)
    const source = this.folder(dirname(from)).names
    const node = source.get(basename(from))
    if (node === undefined) throw new Error(`ENOENT: ${from}`)
    source.delete(basename(from))
    this.folder(dirname(to)).names.set(basename(to), node)
  }

  removeFile(path: string): void {
    this.fuse.effect(`remove ${path}`)
    const parent = this.find(dirname(path))
    if (parent?.kind === 'directory') parent.names.delete(basename(path))
  }

  removeDirectory(path: string): void {
    this.fuse.effect(`remove directory ${path}`)
    const node = this.find(path)
    if (node?.kind === 'directory' && node.names.size > 0) throw new Error(`ENOTEMPTY: ${path}`)
    this.folder(dirname(path)).names.delete(basename(path))
  }
}
