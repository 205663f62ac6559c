// SHA-512 (FIPS 180-4) of a short text, for the names of trees. node:crypto does the same a hundred times faster but
// takes milliseconds to load, which every start of a pod would pay. Pure; runs in stage0.
//
// Words of 64 bits are pairs of 32: high half, low half. The loops make no arrays: this runs before anything is
// optimized, and the garbage would make for a collection of its own.

// First 64 bits of the fractions of the square roots of the first 8 primes, and of the cube roots of the first 80.
const INITIAL = [
  '6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1510e527fade682d1',
  '9b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179',
].join('');
const CONSTANTS = [
  '428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b538',
  '59f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118d807aa98a303024212835b0145706fbe',
  '243185be4ee4b28c550c7dc3d5ffb4e272be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235',
  'c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c65',
  '2de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5983e5152ee66dfab',
  'a831c66d2db43210b00327c898fb213fbf597fc7beef0ee4c6e00bf33da88fc2d5a79147930aa725',
  '06ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed',
  '53380d139d95b3df650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353b',
  'a2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218',
  'd69906245565a910f40e35855771202a106aa07032bbd1b819a4c116b8d2d0c81e376c085141ab53',
  '2748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373',
  '682e6ff3d6b2b8a3748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec',
  '90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532bca273eceea26619c',
  'd186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6',
  '113f9804bef90dae1b710b35131c471b28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc',
  '431d67c49c100d4c4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817',
].join('');

const BLOCK_BYTES = 128;
const ROUNDS = 80;

/** The digest in hex. */
export function shortSha512(text: string): string {
  const state = words(INITIAL);
  const constants = words(CONSTANTS);
  const message = paddedMessage(Buffer.from(text, 'utf8'));
  for (let offset = 0; offset < message.length; offset += BLOCK_BYTES)
    compress(state, message, offset, constants);
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

function words(hex: string): Int32Array {
  const bytes = Buffer.from(hex, 'hex');
  const array = new Int32Array(bytes.length / 4);
  for (let index = 0; index < array.length; index += 1) array[index] = bytes.readInt32BE(4 * index);
  return array;
}

function paddedMessage(bytes: Buffer): Buffer {
  const message = Buffer.alloc(Math.ceil((bytes.length + 17) / BLOCK_BYTES) * BLOCK_BYTES);
  bytes.copy(message);
  message[bytes.length] = 0x80;
  message.writeUInt32BE(bytes.length * 8, message.length - 4);
  return message;
}

function compress(state: Int32Array, message: Buffer, offset: number, constants: Int32Array): void {
  const schedule = scheduleOf(message, offset);
  // Halves of a to h.
  const v = Int32Array.from(state);
  for (let t = 0; t < ROUNDS; t += 1) {
    const ah = v[0]!;
    const al = v[1]!;
    const eh = v[8]!;
    const el = v[9]!;
    const s1h = right(eh, el, 14) ^ right(eh, el, 18) ^ right(el, eh, 9);
    const s1l = right(el, eh, 14) ^ right(el, eh, 18) ^ right(eh, el, 9);
    const low1 =
      u(v[15]!) +
      u(s1l) +
      u((el & v[11]!) ^ (~el & v[13]!)) +
      u(constants[2 * t + 1]!) +
      u(schedule[2 * t + 1]!);
    const high1 =
      v[14]! + s1h + ((eh & v[10]!) ^ (~eh & v[12]!)) + constants[2 * t]! + schedule[2 * t]! + carry(low1);
    const s0h = right(ah, al, 28) ^ right(al, ah, 2) ^ right(al, ah, 7);
    const s0l = right(al, ah, 28) ^ right(ah, al, 2) ^ right(ah, al, 7);
    const low2 = u(low1 | 0) + u(s0l) + u((al & v[3]!) ^ (al & v[5]!) ^ (v[3]! & v[5]!));
    const high2 = high1 + s0h + ((ah & v[2]!) ^ (ah & v[4]!) ^ (v[2]! & v[4]!)) + carry(low2);
    const lowE = u(v[7]!) + u(low1 | 0);
    const highE = v[6]! + high1 + carry(lowE);
    v.copyWithin(2, 0, 14);
    v[0] = high2;
    v[1] = low2;
    v[8] = highE;
    v[9] = lowE;
  }
  for (let index = 0; index < 16; index += 2) {
    const low = u(state[index + 1]!) + u(v[index + 1]!);
    state[index] = state[index]! + v[index]! + carry(low);
    state[index + 1] = low;
  }
}

function scheduleOf(message: Buffer, offset: number): Int32Array {
  const w = new Int32Array(2 * ROUNDS);
  for (let index = 0; index < 32; index += 1) w[index] = message.readInt32BE(offset + 4 * index);
  for (let t = 32; t < 2 * ROUNDS; t += 2) {
    const eh = w[t - 30]!;
    const el = w[t - 29]!;
    const lh = w[t - 4]!;
    const ll = w[t - 3]!;
    const s0h = right(eh, el, 1) ^ right(eh, el, 8) ^ (eh >>> 7);
    const s0l = right(el, eh, 1) ^ right(el, eh, 8) ^ ((el >>> 7) | (eh << 25));
    const s1h = right(lh, ll, 19) ^ right(ll, lh, 29) ^ (lh >>> 6);
    const s1l = right(ll, lh, 19) ^ right(lh, ll, 29) ^ ((ll >>> 6) | (lh << 26));
    const low = u(w[t - 31]!) + u(s0l) + u(w[t - 13]!) + u(s1l);
    w[t] = w[t - 32]! + s0h + w[t - 14]! + s1h + carry(low);
    w[t + 1] = low;
  }
  return w;
}

// One half of a rotation: the bits that stay, and those that come over from the other half.
function right(half: number, other: number, bits: number): number {
  return (half >>> bits) | (other << (32 - bits));
}

function u(word: number): number {
  return word >>> 0;
}

function carry(low: number): number {
  return Math.floor(low / 0x1_0000_0000);
}
