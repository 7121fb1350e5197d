// Memory: bulk copies and fills of many sizes, LZ77 with decompression, and an open-addressing hash table.
#include "corpus.h"

#define SIZE (1 << 17)
static u8 from[SIZE], to[SIZE * 2];

EXPORT(memcpy) {
  u64 seed = 3, h = 0;
  for (u32 i = 0; i < SIZE; i++) from[i] = (u8)next_random(&seed), to[i] = 0;
  while (n-- > 0)
    for (u32 k = 0; k < 1000; k++) {
      u32 size = k % 10 ? k % 100 : k * 13 % 8192;
      u32 a = (u32)next_random(&seed) % (SIZE - 8192), b = (u32)next_random(&seed) % (SIZE - 8192);
      __builtin_memcpy(to + a, from + b, size);
      if (k % 50 == 0) __builtin_memset(to + b, (int)k, size);
      h = mix(h, to[a]);
    }
  return h;
}

// compress writes tokens of a literal run and a match: count, bytes, length, distance.
static u32 compress(u32 size, u8 *out) {
  static u32 heads[4096];
  for (u32 i = 0; i < 4096; i++) heads[i] = 0;
  u32 n = 0, literals = 0;
  for (u32 i = 0; i + 4 <= size;) {
    u32 word = (u32)from[i] | (u32)from[i + 1] << 8 | (u32)from[i + 2] << 16 | (u32)from[i + 3] << 24;
    u32 slot = word * 2654435761u >> 20, candidate = heads[slot], len = 0;
    heads[slot] = i + 1;
    if (candidate && i + 1 - candidate < 65536)
      while (len < 255 && i + len < size && from[candidate - 1 + len] == from[i + len]) len++;
    if (len < 4 && literals < 255 && i + 5 <= size) {
      literals++;
      i++;
      continue;
    }
    if (len < 4) len = 0;
    u32 distance = len ? i + 1 - candidate : 0;
    out[n++] = (u8)literals;
    for (u32 k = 0; k < literals; k++) out[n++] = from[i - literals + k];
    out[n++] = (u8)len;
    out[n++] = (u8)distance;
    out[n++] = (u8)(distance >> 8);
    literals = 0;
    i += len ? len : 0;
    if (!len && i + 5 > size) break;
  }
  return n;
}

static u8 packed[SIZE * 2];

EXPORT(lz) {
  u64 seed = 3, h = 0;
  for (u32 i = 0; i < SIZE; i++) from[i] = next_random(&seed) % 4 ? from[i / 3] : (u8)(seed >> 20);
  u32 size = compress(SIZE, packed);
  while (n-- > 0) {
    u32 out = 0;
    for (u32 i = 0; i < size;) {
      for (u32 k = packed[i++]; k > 0; k--) to[out++] = packed[i++];
      u32 len = packed[i], distance = packed[i + 1] | (u32)packed[i + 2] << 8;
      i += 3;
      for (; len > 0; len--, out++) to[out] = to[out - distance];
    }
    h = mix(h, out);
    for (u32 i = 0; i < out; i += 1009) h = mix(h, to[i]);
  }
  return h;
}

#define SLOTS (1 << 15)
static struct {
  u64 key;
  u64 value;
} table[SLOTS];

EXPORT(hashtable) {
  u64 h = 0;
  while (n-- > 0) {
    u64 seed = 7;
    for (u32 i = 0; i < SLOTS; i++) table[i].key = 0;
    for (u32 i = 0; i < 60000; i++) {
      u64 key = next_random(&seed) % 20000 + 1;
      u32 slot = (u32)(key * 0x9E3779B97F4A7C15ull >> 49);
      while (table[slot].key && table[slot].key != key) slot = (slot + 1) % SLOTS;
      if (!table[slot].key) table[slot].key = key, table[slot].value = 0;
      table[slot].value += i;
    }
    for (u32 i = 0; i < SLOTS; i++)
      if (table[i].key) h = mix(h, table[i].key + table[i].value);
  }
  return h;
}
