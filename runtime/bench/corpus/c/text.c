// Text: JSON tokens, base64, splitting lines and fields, a backtracking pattern matcher, number formatting and parsing.
#include "corpus.h"

static char text[1 << 16];
static u32 length;

static void put(char c) { text[length++] = c; }
static void puts_(const char *s) {
  while (*s) put(*s++);
}
static void putn(u32 v) {
  char digits[10];
  u32 k = 0;
  do digits[k++] = '0' + v % 10;
  while (v /= 10);
  while (k) put(digits[--k]);
}

static void make_json(void) {
  u64 seed = 5;
  length = 0;
  put('[');
  for (u32 i = 0; i < 500; i++) {
    if (i) put(',');
    puts_("{\"id\": ");
    putn(i);
    puts_(", \"name\": \"item \\\"");
    putn((u32)next_random(&seed) % 1000);
    puts_("\\\"\", \"price\": ");
    putn((u32)next_random(&seed) % 10000);
    put('.');
    putn(10 + (u32)next_random(&seed) % 90);
    puts_(", \"tags\": [true, null, \"x\"]}");
  }
  put(']');
}

static u32 at;
static u64 sum;

static void space(void) {
  while (text[at] == ' ' || text[at] == '\n') at++;
}

static void string(void) {
  for (at++; text[at] != '"'; at++) {
    if (text[at] == '\\') at++;
    sum = sum * 31 + (u8)text[at];
  }
  at++;
}

static void value(void) {
  space();
  switch (text[at]) {
  case '{':
    for (at++; text[at] != '}';) {
      space();
      string();
      space();
      at++; // colon
      value();
      space();
      if (text[at] == ',') at++;
    }
    at++;
    return;
  case '[':
    for (at++; text[at] != ']';) {
      value();
      space();
      if (text[at] == ',') at++;
    }
    at++;
    return;
  case '"': string(); return;
  case 't': case 'n': at += 4; return;
  case 'f': at += 5; return;
  }
  double v = 0, scale = 1;
  for (; text[at] >= '0' && text[at] <= '9'; at++) v = v * 10 + (text[at] - '0');
  if (text[at] == '.')
    for (at++; text[at] >= '0' && text[at] <= '9'; at++) v += (text[at] - '0') * (scale /= 10);
  sum += (u64)(v * 100);
}

EXPORT(json) {
  make_json();
  sum = 0;
  while (n-- > 0) {
    at = 0;
    value();
  }
  return sum;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static char encoded[1 << 17];
static u8 reverse[256], decoded[1 << 16];

EXPORT(base64) {
  make_json();
  for (u32 i = 0; i < 64; i++) reverse[(u8)alphabet[i]] = (u8)i;
  u64 h = 0;
  while (n-- > 0) {
    u32 out = 0, whole = length / 3 * 3;
    for (u32 i = 0; i < whole; i += 3) {
      u32 v = (u32)(u8)text[i] << 16 | (u32)(u8)text[i + 1] << 8 | (u8)text[i + 2];
      encoded[out++] = alphabet[v >> 18];
      encoded[out++] = alphabet[v >> 12 & 63];
      encoded[out++] = alphabet[v >> 6 & 63];
      encoded[out++] = alphabet[v & 63];
    }
    u32 back = 0;
    for (u32 i = 0; i < out; i += 4) {
      u32 v = (u32)reverse[(u8)encoded[i]] << 18 | (u32)reverse[(u8)encoded[i + 1]] << 12 |
              (u32)reverse[(u8)encoded[i + 2]] << 6 | reverse[(u8)encoded[i + 3]];
      decoded[back++] = (u8)(v >> 16);
      decoded[back++] = (u8)(v >> 8);
      decoded[back++] = (u8)v;
    }
    h = mix(h, encoded[n % out]);
    for (u32 i = 0; i < back; i++)
      if (decoded[i] != (u8)text[i]) return 0;
  }
  return h;
}

// match is after Rob Pike's matcher: literals, '.', '*' and '$'.
static i32 match(const char *pattern, u32 i) {
  for (;;) {
    if (!*pattern) return 1;
    if (pattern[1] == '*') {
      do
        if (match(pattern + 2, i)) return 1;
      while (i < length && (text[i++] == *pattern || *pattern == '.'));
      return 0;
    }
    if (*pattern == '$' && !pattern[1]) return i == length;
    if (i >= length || (*pattern != '.' && *pattern != text[i])) return 0;
    pattern++;
    i++;
  }
}

EXPORT(pattern) {
  make_json();
  length = 4000;
  u64 h = 0;
  while (n-- > 0) {
    u32 found = 0;
    for (u32 i = 0; i < length; i++) found += match("\"name\": \"it.*[0-9]*", i) + match("pri.e\": 1*2*", i);
    h = mix(h, found);
  }
  return h;
}

EXPORT(split) {
  make_json();
  u64 h = 0;
  while (n-- > 0) {
    u32 field = 0, begin = 0;
    for (u32 i = 0; i < length; i++)
      if (text[i] == ',' || text[i] == ':') {
        u32 k = 2166136261u;
        for (u32 j = begin; j < i; j++) k = (k ^ (u8)text[j]) * 16777619u;
        h = mix(h, k + field++);
        begin = i + 1;
      }
  }
  return h;
}
