// Hashing: SHA-256 (FIPS 180-4), XXH64 and CRC-32 over a buffer.
#include "corpus.h"

static const u32 K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#define ROR(x, k) (((x) >> (k)) | ((x) << (32 - (k))))
#define SIZE 65536
static u8 buffer[SIZE];

static void fill(void) {
  u64 seed = 1234567;
  for (u32 i = 0; i < SIZE; i++) buffer[i] = (u8)next_random(&seed);
}

static void block(u32 state[8], const u8 *p) {
  u32 w[64];
  for (u32 i = 0; i < 16; i++)
    w[i] = (u32)p[4 * i] << 24 | (u32)p[4 * i + 1] << 16 | (u32)p[4 * i + 2] << 8 | p[4 * i + 3];
  for (u32 i = 16; i < 64; i++) {
    u32 s0 = ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ (w[i - 15] >> 3);
    u32 s1 = ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  u32 a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (u32 i = 0; i < 64; i++) {
    u32 t1 = h + (ROR(e, 6) ^ ROR(e, 11) ^ ROR(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i];
    u32 t2 = (ROR(a, 2) ^ ROR(a, 13) ^ ROR(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

EXPORT(sha256) {
  u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  fill();
  while (n-- > 0)
    for (u32 i = 0; i < SIZE; i += 64) block(state, buffer + i);
  u64 h = 0;
  for (u32 i = 0; i < 8; i++) h = mix(h, state[i]);
  return h;
}

#define P1 0x9E3779B185EBCA87ull
#define P2 0xC2B2AE3D27D4EB4Full
#define ROL64(x, k) (((x) << (k)) | ((x) >> (64 - (k))))

static u64 round64(u64 acc, u64 v) { return ROL64(acc + v * P2, 31) * P1; }

EXPORT(xxh64) {
  fill();
  u64 h = n;
  while (n-- > 0) {
    u64 a = h + P1 + P2, b = h + P2, c = h, d = h - P1;
    const u64 *p = (const u64 *)buffer;
    for (u32 i = 0; i < SIZE / 8; i += 4) {
      a = round64(a, p[i]);
      b = round64(b, p[i + 1]);
      c = round64(c, p[i + 2]);
      d = round64(d, p[i + 3]);
    }
    h = ROL64(a, 1) + ROL64(b, 7) + ROL64(c, 12) + ROL64(d, 18);
  }
  return h;
}

static u32 table[256];

EXPORT(crc32) {
  fill();
  for (u32 i = 0; i < 256; i++) {
    u32 c = i;
    for (u32 k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  u32 crc = 0xFFFFFFFFu;
  while (n-- > 0)
    for (u32 i = 0; i < SIZE; i++) crc = table[(crc ^ buffer[i]) & 255] ^ (crc >> 8);
  return crc;
}
