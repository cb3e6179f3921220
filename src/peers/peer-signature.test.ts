import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { PeerSigner, PeerVerifier } from './peer-signature.ts';

const request = {
  method: 'GET',
  target: '/onepull/peer/v1/blobs/sha256:x',
  range: 'bytes=5-',
  node: 'a#1',
  to: 'http://b:5002',
};

class Setup {
  readonly clock = new VirtualClock();
  readonly verifier = new PeerVerifier(this.clock, 'secret', () => request.to);
  readonly signer = new PeerSigner('secret');

  /** Signed with a nonce of the verifier's. */
  signed(signer = this.signer): string {
    if (signer.authorization(request) === undefined) assert.ok(signer.challenged(this.verifier.challenge()));
    return signer.authorization(request) ?? '';
  }
}

describe('a signed request', () => {
  it('is accepted, and names who asks', () => {
    const { verifier, signer, ...setup } = new Setup();
    assert.equal(signer.authorization(request), undefined);
    assert.equal(new Setup().signer.challenged(undefined), false);
    assert.ok(signer.challenged(verifier.challenge()));
    for (let time = 0; time < 3; time++) assert.equal(verifier.verified(signer.authorization(request), request), 'a#1');
    assert.ok(setup);
  });

  it('is accepted once', () => {
    const setup = new Setup();
    const header = setup.signed();
    assert.equal(setup.verifier.verified(header, request), 'a#1');
    assert.equal(setup.verifier.verified(header, request), undefined);
  });

  it('may be overtaken by others, but not by too many', () => {
    const setup = new Setup();
    const headers = Array.from({ length: 3000 }, () => setup.signed());
    const [first = '', second = '', ...rest] = headers;
    assert.equal(setup.verifier.verified(rest[10], request), 'a#1');
    assert.equal(setup.verifier.verified(second, request), 'a#1');
    for (const header of rest.slice(11)) assert.equal(setup.verifier.verified(header, request), 'a#1');
    assert.equal(setup.verifier.verified(first, request), undefined);
    assert.equal(setup.verifier.verified(second, request), undefined);
  });

  const changed: [string, Partial<typeof request>][] = [
    ['method', { method: 'HEAD' }],
    ['path', { target: '/onepull/peer/v1/blobs/sha256:y' }],
    ['range', { range: 'bytes=6-' }],
  ];
  for (const [what, change] of changed) {
    it(`is good for nothing else: ${what}`, () => {
      const setup = new Setup();
      assert.equal(setup.verifier.verified(setup.signed(), { ...request, ...change }), undefined);
    });
  }

  it('is good for nobody but who was asked: not handed on by one who asks for a nonce in its place', () => {
    const setup = new Setup();
    const signer = new PeerSigner('secret');
    assert.ok(signer.challenged(setup.verifier.challenge()));
    const header = signer.authorization({ ...request, to: 'http://mallory:5002' });
    assert.equal(setup.verifier.verified(header, request), undefined);
  });

  it('is refused where the secret is another one, or the name was changed', () => {
    const setup = new Setup();
    assert.equal(setup.verifier.verified(setup.signed(new PeerSigner('other')), request), undefined);
    assert.equal(setup.verifier.verified(setup.signed().replace('a#1', 'b#1'), request), undefined);
  });

  it('is refused with a nonce of another run, an old one, or one that was made up', () => {
    const setup = new Setup();
    const header = setup.signed();
    assert.equal(new PeerVerifier(setup.clock, 'secret', () => request.to).verified(header, request), undefined);
    setup.signer.challenged('Onepull-Peer nonce="0.abc.def"');
    assert.equal(setup.verifier.verified(setup.signer.authorization(request), request), undefined);
    setup.clock.advance(300_001);
    assert.equal(setup.verifier.verified(header, request), undefined);
  });

  it('keeps its nonce whatever becomes of the clocks of nodes', () => {
    const setup = new Setup();
    const header = setup.signed();
    setup.clock.setBy(-3_600_000);
    assert.equal(setup.verifier.verified(header, request), 'a#1');
  });

  it('is still accepted once where more nonces were used than are remembered', () => {
    const setup = new Setup();
    const header = setup.signed();
    assert.equal(setup.verifier.verified(header, request), 'a#1');
    setup.clock.advance(10);
    for (let count = 0; count < 5000; count++) {
      setup.clock.advance(1);
      assert.equal(setup.verifier.verified(setup.signed(new PeerSigner('secret')), request), 'a#1');
    }
    assert.equal(setup.verifier.verified(header, request), undefined);
  });

  for (const header of [undefined, '', 'Basic eA==', 'Onepull-Peer node="a"', `Onepull-Peer ${'x'.repeat(10_000)}`]) {
    it(`is none: ${String(header).slice(0, 30)}`, () => {
      assert.equal(new Setup().verifier.verified(header, request), undefined);
    });
  }
});
