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
/** Beyond the last value of a low half: what is above it is carried. */
const WORD = 0x1_0000_0000;

type Eight = [number, number, number, number, number, number, number, number];

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
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const array = new Int32Array(bytes.length / 4);
  for (let index = 0; index < array.length; index += 1) array[index] = view.getInt32(4 * index);
  return array;
}

function paddedMessage(bytes: Buffer): Buffer {
  const message = Buffer.alloc(Math.ceil((bytes.length + 17) / BLOCK_BYTES) * BLOCK_BYTES);
  bytes.copy(message);
  message[bytes.length] = 0x80;
  message.writeUInt32BE(bytes.length * 8, message.length - 4);
  return message;
}

// Both halves of a rotation are written out, and carries come from comparing: thousands of calls would cost more than
// the sums, as nothing is compiled yet.
function compress(state: Int32Array, message: Buffer, offset: number, constants: Int32Array): void {
  const w = scheduleOf(message, offset);
  let [ah, al, bh, bl, ch, cl, dh, dl] = state as unknown as Eight;
  let [eh, el, fh, fl, gh, gl, hh, hl] = state.subarray(8) as unknown as Eight;
  for (let t = 0; t < 2 * ROUNDS; t += 2) {
    const s1h = ((eh >>> 14) | (el << 18)) ^ ((eh >>> 18) | (el << 14)) ^ ((el >>> 9) | (eh << 23));
    const s1l = ((el >>> 14) | (eh << 18)) ^ ((el >>> 18) | (eh << 14)) ^ ((eh >>> 9) | (el << 23));
    const low1 =
      (hl >>> 0) +
      (s1l >>> 0) +
      (((el & fl) ^ (~el & gl)) >>> 0) +
      (constants[t + 1]! >>> 0) +
      (w[t + 1]! >>> 0);
    const high1 = (hh + s1h + ((eh & fh) ^ (~eh & gh)) + constants[t]! + w[t]! + ((low1 / WORD) | 0)) | 0;
    const s0h = ((ah >>> 28) | (al << 4)) ^ ((al >>> 2) | (ah << 30)) ^ ((al >>> 7) | (ah << 25));
    const s0l = ((al >>> 28) | (ah << 4)) ^ ((ah >>> 2) | (al << 30)) ^ ((ah >>> 7) | (al << 25));
    const low2 = (low1 | 0) >>> 0;
    const lowA = low2 + (s0l >>> 0) + (((al & bl) ^ (al & cl) ^ (bl & cl)) >>> 0);
    const lowE = (dl >>> 0) + low2;
    hh = gh;
    hl = gl;
    gh = fh;
    gl = fl;
    fh = eh;
    fl = el;
    eh = (dh + high1 + ((lowE / WORD) | 0)) | 0;
    el = lowE | 0;
    dh = ch;
    dl = cl;
    const highA = high1 + s0h + ((ah & bh) ^ (ah & ch) ^ (bh & ch)) + ((lowA / WORD) | 0);
    ch = bh;
    cl = bl;
    bh = ah;
    bl = al;
    ah = highA | 0;
    al = lowA | 0;
  }
  const rounds = [ah, al, bh, bl, ch, cl, dh, dl, eh, el, fh, fl, gh, gl, hh, hl];
  for (let index = 0; index < 16; index += 2) {
    const low = (state[index + 1]! >>> 0) + (rounds[index + 1]! >>> 0);
    state[index] = state[index]! + rounds[index]! + ((low / WORD) | 0);
    state[index + 1] = low | 0;
  }
}

function scheduleOf(message: Buffer, offset: number): Int32Array {
  const view = new DataView(message.buffer, message.byteOffset + offset);
  const w = new Int32Array(2 * ROUNDS);
  for (let index = 0; index < 32; index += 1) w[index] = view.getInt32(4 * index);
  for (let t = 32; t < 2 * ROUNDS; t += 2) {
    const eh = w[t - 30]!;
    const el = w[t - 29]!;
    const lh = w[t - 4]!;
    const ll = w[t - 3]!;
    const s0h = ((eh >>> 1) | (el << 31)) ^ ((eh >>> 8) | (el << 24)) ^ (eh >>> 7);
    const s0l = ((el >>> 1) | (eh << 31)) ^ ((el >>> 8) | (eh << 24)) ^ ((el >>> 7) | (eh << 25));
    const s1h = ((lh >>> 19) | (ll << 13)) ^ ((ll >>> 29) | (lh << 3)) ^ (lh >>> 6);
    const s1l = ((ll >>> 19) | (lh << 13)) ^ ((lh >>> 29) | (ll << 3)) ^ ((ll >>> 6) | (lh << 26));
    const low = (w[t - 31]! >>> 0) + (s0l >>> 0) + (w[t - 13]! >>> 0) + (s1l >>> 0);
    w[t] = w[t - 32]! + s0h + w[t - 14]! + s1h + ((low / WORD) | 0);
    w[t + 1] = low | 0;
  }
  return w;
}
