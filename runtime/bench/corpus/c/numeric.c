// Numeric loops: matrix multiplication, Mandelbrot, a sieve, and a five-point stencil.
#include "corpus.h"

#define DIM 96
static double a[DIM][DIM], b[DIM][DIM], c[DIM][DIM];

EXPORT(matmul) {
  for (u32 i = 0; i < DIM; i++)
    for (u32 j = 0; j < DIM; j++) a[i][j] = (double)(i * j % 17) / 7, b[i][j] = (double)(i + j) / 11;
  while (n-- > 0) {
    for (u32 i = 0; i < DIM; i++)
      for (u32 j = 0; j < DIM; j++) {
        double s = 0;
        for (u32 k = 0; k < DIM; k++) s += a[i][k] * b[k][j];
        c[i][j] = s;
      }
    a[n % DIM][n % 7] += c[3][5] / 1e6;
  }
  double s = 0;
  for (u32 i = 0; i < DIM; i++) s += c[i][i];
  return (u64)(s * 1000);
}

EXPORT(mandelbrot) {
  u64 h = 0;
  while (n-- > 0)
    for (u32 y = 0; y < 48; y++)
      for (u32 x = 0; x < 64; x++) {
        double cr = x / 32.0 - 1.5, ci = y / 24.0 - 1.0, zr = 0, zi = 0;
        u32 k = 0;
        while (k < 200 && zr * zr + zi * zi < 4) {
          double t = zr * zr - zi * zi + cr;
          zi = 2 * zr * zi + ci;
          zr = t;
          k++;
        }
        h = mix(h, k);
      }
  return h;
}

#define LIMIT 200000
static u8 composite[LIMIT];

EXPORT(sieve) {
  u64 h = 0;
  while (n-- > 0) {
    for (u32 i = 0; i < LIMIT; i++) composite[i] = 0;
    for (u32 i = 2; i * i < LIMIT; i++)
      if (!composite[i])
        for (u32 j = i * i; j < LIMIT; j += i) composite[j] = 1;
    u32 count = 0;
    for (u32 i = 2; i < LIMIT; i++) count += !composite[i];
    h = mix(h, count);
  }
  return h;
}

#define GRID 160
static float grid[2][GRID][GRID];

EXPORT(stencil) {
  for (u32 i = 0; i < GRID; i++)
    for (u32 j = 0; j < GRID; j++) grid[0][i][j] = (float)((i * 31 + j * 17) % 100);
  u32 now = 0;
  while (n-- > 0) {
    for (u32 i = 1; i < GRID - 1; i++)
      for (u32 j = 1; j < GRID - 1; j++)
        grid[!now][i][j] = 0.2f * (grid[now][i][j] + grid[now][i - 1][j] + grid[now][i + 1][j] + grid[now][i][j - 1] + grid[now][i][j + 1]);
    now = !now;
  }
  double s = 0;
  for (u32 i = 0; i < GRID; i++) s += grid[now][i][GRID / 2];
  return (u64)(s * 1000);
}
