import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Manifest, Publication } from '../../src/publication/publication.ts'

export interface PublicationUnderTest {
  publication: Publication
  /** A second one over the same place, as another process would have it. */
  other: Publication
  /** Changes the bytes behind the publication's back, as an operator or a broken disk would. */
  tamper(key: string, bytes: Uint8Array): Promise<void>
  /** Removes the artefact, and only it. */
  remove(key: string): Promise<void>
  close(): Promise<void>
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

export const manifestOf = (bytes: Uint8Array, version: number | string): Manifest => ({
  version: String(version),
  sha256: createHash('sha256').update(bytes).digest('hex'),
  count: 1,
  publishedAt: '2027-01-01T00:00:00.000Z',
})

const key = 'crl/issuing-g1/0.crl'

/** What every place of publication promises to the verbs. */
export const publicationContract = (name: string, open: () => Promise<PublicationUnderTest>): void => {
  describe(`${name} as a publication`, () => {
    let place: PublicationUnderTest
    beforeEach(async () => {
      place = await open()
    })
    afterEach(() => place.close())

    const put = (text: string, version: number, ifVersion: string | null) => {
      const bytes = bytesOf(text)
      return place.publication.put(key, bytes, manifestOf(bytes, version), ifVersion)
    }

    it('has nothing before the first put', async () => {
      expect(await place.publication.get(key)).toBeNull()
      expect(await place.publication.manifest(key)).toBeNull()
    })

    it('gives back the bytes, their version and their manifest', async () => {
      const version = await put('one', 1, null)
      const found = await place.publication.get(key)
      expect(found).toEqual({
        bytes: expect.anything(),
        version,
        manifest: manifestOf(bytesOf('one'), 1),
      })
      expect(new TextDecoder().decode(found?.bytes)).toBe('one')
      expect(await place.publication.manifest(key)).toEqual(manifestOf(bytesOf('one'), 1))
    })

    it('replaces what is live when told rightly what that is', async () => {
      const first = await put('one', 1, null)
      const second = await put('two', 2, first)
      expect(second).not.toBe(first)
      expect((await place.publication.get(key))?.version).toBe(second)
    })

    it('takes the same bytes again', async () => {
      const first = await put('one', 1, null)
      expect(await put('one', 1, first)).toBe(first)
      expect((await place.publication.get(key))?.manifest?.version).toBe('1')
    })

    it('keeps every byte, and an empty artefact too', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
      const version = await place.publication.put('all/bytes.crl', bytes, manifestOf(bytes, 1), null)
      expect(Buffer.from((await place.publication.get('all/bytes.crl'))?.bytes ?? [])).toEqual(Buffer.from(bytes))
      const empty = new Uint8Array()
      await place.publication.put('all/bytes.crl', empty, manifestOf(empty, 2), version)
      expect((await place.publication.get('all/bytes.crl'))?.bytes.length).toBe(0)
    })

    it('refuses as a conflict a put that believes nothing is there while something is', async () => {
      await put('one', 1, null)
      await expect(put('two', 2, null)).rejects.toMatchObject({ code: 'conflict' })
      expect((await place.publication.get(key))?.manifest?.version).toBe('1')
    })

    it('refuses as a conflict a put over something that was replaced meanwhile', async () => {
      const first = await put('one', 1, null)
      await put('two', 2, first)
      await expect(put('three', 3, first)).rejects.toMatchObject({ code: 'conflict' })
    })

    it('refuses as a conflict a put over something that is gone', async () => {
      const first = await put('one', 1, null)
      await place.remove(key)
      await expect(put('two', 2, first)).rejects.toMatchObject({ code: 'conflict' })
    })

    it('lets exactly one of many writers win who all saw the same', async () => {
      const first = await put('base', 1, null)
      const writers = Array.from({ length: 12 }, (_, index) => {
        const bytes = bytesOf(`writer ${index}`)
        const publication = index % 2 === 0 ? place.publication : place.other
        return publication.put(key, bytes, manifestOf(bytes, 2 + index), first)
      })
      const results = await Promise.allSettled(writers)
      const won = results.filter((result) => result.status === 'fulfilled')
      const lost = results.filter((result) => result.status === 'rejected')
      expect(won).toHaveLength(1)
      expect(lost.map(({ reason }) => reason.code)).toEqual(Array(11).fill('conflict'))
      const live = await place.other.get(key)
      expect(live?.version).toBe(won[0]?.value)
      expect(live?.manifest?.version).toBe(String(2 + results.findIndex(({ status }) => status === 'fulfilled')))
    })

    it('shows no manifest for bytes that were changed behind its back, and still the high-water mark', async () => {
      await put('one', 7, null)
      await place.tamper(key, bytesOf('on'))
      const found = await place.publication.get(key)
      expect(found?.manifest).toBeNull()
      expect((await place.publication.manifest(key))?.version).toBe('7')
    })

    it('remembers the high-water mark of an artefact that is gone', async () => {
      await put('one', 7, null)
      await place.remove(key)
      expect(await place.publication.get(key)).toBeNull()
      expect((await place.publication.manifest(key))?.version).toBe('7')
      await expect(put('old', 6, null)).rejects.toMatchObject({
        code: 'refused',
        message: expect.stringMatching(/6.*7/),
      })
    })

    it('refuses a version below the highest ever put, compared as numbers', async () => {
      const first = await put('one', 10, null)
      await expect(put('two', 9, first)).rejects.toMatchObject({ code: 'refused' })
      expect((await place.publication.get(key))?.version).toBe(first)
    })

    it('refuses a manifest that does not describe the bytes', async () => {
      const wrong = place.publication.put(key, bytesOf('one'), manifestOf(bytesOf('two'), 1), null)
      await expect(wrong).rejects.toMatchObject({ code: 'bad-input' })
      expect(await place.publication.get(key)).toBeNull()
    })

    it.each([
      '',
      '/etc/passwd',
      '../outside',
      'a/../../b',
      'a//b',
      'a/./b',
      '.hidden',
      'a/.hidden',
      'a\\b',
      'a\0b',
      'a/',
      'ä',
    ])('refuses the key %j', async (wrong) => {
      const bytes = bytesOf('x')
      await expect(place.publication.get(wrong)).rejects.toMatchObject({ code: 'bad-input' })
      await expect(place.publication.manifest(wrong)).rejects.toMatchObject({ code: 'bad-input' })
      await expect(place.publication.put(wrong, bytes, manifestOf(bytes, 1), null)).rejects.toMatchObject({
        code: 'bad-input',
      })
    })
  })
}
