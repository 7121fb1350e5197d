// What the programs of this folder share: fixed-width types, a generator of inputs, and the name of an export. There is no libc.
#ifndef CORPUS_H
#define CORPUS_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

// EXPORT(name) makes a function a program of the corpus: u64 run_name(u32 n).
#define EXPORT(name) __attribute__((export_name("run_" #name))) u64 run_##name(u32 n)

static inline u64 next_random(u64 *state) {
  u64 x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}

static inline u64 mix(u64 h, u64 v) { return (h ^ v) * 0x9E3779B97F4A7C15ull; }

#endif
