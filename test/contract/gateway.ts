import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Gateway, GatewayArtefacts } from '../../src/gateway/gateway.ts'

export interface GatewayUnderTest {
  gateway: Gateway
  /** Artefacts that it takes, another pair for each number. */
  artefacts(number: number): GatewayArtefacts
  /** Artefacts with whole digests that it does not take. */
  unusable(): GatewayArtefacts
  /** Which pair is really enforced, found out without the gateway; null: none of them. */
  enforced(): Promise<number | null>
  close(): Promise<void>
}

const digests = ({ truststore, crl }: GatewayArtefacts) => ({
  truststoreSha256: truststore.sha256,
  crlSha256: crl.sha256,
})

/** What every gateway promises to the verbs. */
export const gatewayContract = (name: string, open: () => Promise<GatewayUnderTest>): void => {
  describe(`${name} as a gateway`, () => {
    let place: GatewayUnderTest
    beforeEach(async () => {
      place = await open()
    })
    afterEach(() => place.close())

    it('enforces what was applied, and says so', async () => {
      await place.gateway.apply(place.artefacts(1))
      expect(await place.enforced()).toBe(1)
      expect(await place.gateway.observe()).toEqual(digests(place.artefacts(1)))
    })

    it('goes from one version to the next, and back to an older one', async () => {
      for (const number of [1, 2, 1]) {
        await place.gateway.apply(place.artefacts(number))
        expect(await place.enforced()).toBe(number)
        expect(await place.gateway.observe()).toEqual(digests(place.artefacts(number)))
      }
    })

    it('takes the same artefacts twice', async () => {
      await place.gateway.apply(place.artefacts(1))
      await place.gateway.apply(place.artefacts(1))
      expect(await place.enforced()).toBe(1)
    })

    it('refuses artefacts that it cannot use, and still enforces the previous ones', async () => {
      await place.gateway.apply(place.artefacts(1))
      await expect(place.gateway.apply(place.unusable())).rejects.toMatchObject({
        code: 'refused',
        message: expect.stringContaining(place.gateway.name),
      })
      expect(await place.enforced()).toBe(1)
      expect(await place.gateway.observe()).toEqual(digests(place.artefacts(1)))
    })

    it('takes good artefacts after it refused bad ones', async () => {
      await place.gateway.apply(place.artefacts(1))
      await expect(place.gateway.apply(place.unusable())).rejects.toMatchObject({ code: 'refused' })
      await place.gateway.apply(place.artefacts(2))
      expect(await place.enforced()).toBe(2)
    })

    it('refuses artefacts that are not what their digests say, and changes nothing', async () => {
      await place.gateway.apply(place.artefacts(1))
      const { truststore, crl } = place.artefacts(2)
      const swapped = { truststore, crl: { ...crl, sha256: truststore.sha256 } }
      await expect(place.gateway.apply(swapped)).rejects.toMatchObject({ code: 'bad-input' })
      expect(await place.enforced()).toBe(1)
    })

    it('applies two versions asked for at once one after the other', async () => {
      await Promise.all([place.gateway.apply(place.artefacts(1)), place.gateway.apply(place.artefacts(2))])
      expect(await place.enforced()).toBe(2)
      expect(await place.gateway.observe()).toEqual(digests(place.artefacts(2)))
    })
  })
}
