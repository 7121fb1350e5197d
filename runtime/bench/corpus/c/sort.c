// Sorting: quicksort with insertion sort for short runs, then a heap sort of other input, both on 32-bit integers.
#include "corpus.h"

#define SIZE 20000
static i32 values[SIZE];

static void insertion(i32 *a, i32 n) {
  for (i32 i = 1; i < n; i++) {
    i32 v = a[i], j = i;
    for (; j > 0 && a[j - 1] > v; j--) a[j] = a[j - 1];
    a[j] = v;
  }
}

static void quick(i32 *a, i32 n) {
  while (n > 16) {
    i32 x = a[0], y = a[n / 2], z = a[n - 1];
    i32 pivot = x < y ? (y < z ? y : (x < z ? z : x)) : (x < z ? x : (y < z ? z : y));
    i32 i = 0, j = n - 1;
    for (;;) {
      while (a[i] < pivot) i++;
      while (a[j] > pivot) j--;
      if (i >= j) break;
      i32 t = a[i];
      a[i++] = a[j];
      a[j--] = t;
    }
    if (j + 1 < n - j - 1) {
      quick(a, j + 1);
      a += j + 1;
      n -= j + 1;
    } else {
      quick(a + j + 1, n - j - 1);
      n = j + 1;
    }
  }
  insertion(a, n);
}

static void sift(i32 *a, i32 root, i32 n) {
  for (i32 child; (child = 2 * root + 1) < n; root = child) {
    if (child + 1 < n && a[child] < a[child + 1]) child++;
    if (a[root] >= a[child]) return;
    i32 t = a[root];
    a[root] = a[child];
    a[child] = t;
  }
}

static void heap(i32 *a, i32 n) {
  for (i32 i = n / 2; i-- > 0;) sift(a, i, n);
  for (i32 i = n; i-- > 1;) {
    i32 t = a[0];
    a[0] = a[i];
    a[i] = t;
    sift(a, 0, i);
  }
}

static u64 filled(u64 seed) {
  for (i32 i = 0; i < SIZE; i++) values[i] = (i32)next_random(&seed);
  return seed;
}

static u64 checksum(u64 h) {
  for (i32 i = 0; i < SIZE; i += 7) h = mix(h, (u32)values[i]);
  for (i32 i = 1; i < SIZE; i++)
    if (values[i - 1] > values[i]) return 0;
  return h;
}

EXPORT(quicksort) {
  u64 h = 1, seed = 88172645463325252ull;
  while (n-- > 0) {
    seed = filled(seed);
    quick(values, SIZE);
    h = checksum(h);
  }
  return h;
}

EXPORT(heapsort) {
  u64 h = 1, seed = 88172645463325252ull;
  while (n-- > 0) {
    seed = filled(seed);
    heap(values, SIZE);
    h = checksum(h);
  }
  return h;
}
