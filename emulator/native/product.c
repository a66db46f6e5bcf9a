/* Matrix products of bf16 factors with float32 sums: c = a @ b, or c + a @ b.
 *
 * Compiled on demand by sohu.emulator.native for the machine it runs on; which vector instructions that has is asked when
 * it runs. The functions keep no state, so any number of threads may call them at once. What is written to c depends on
 * sizes, strides and values only: not on addresses, threads or earlier calls. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

enum {
    FEW = 4,           /* rows up to which b is not packed */
    DEPTH = 8,         /* rows of b read side by side then */
    STRIP = 4096,      /* columns whose sums are kept in the first cache meanwhile */
    PANEL = 96 * 1024, /* words of packed b: within the second cache */
    SUBNORMAL = 2,
};

static const uint16_t zeros[STRIP]; /* the rows after the last one */

static float widened(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Memory that begins at a cache line. */
static void *aligned(size_t bytes)
{
    void *memory;
    return posix_memalign(&memory, 64, bytes) ? NULL : memory;
}

/* a in rows of `row` elements. */
static void copy_rows(long m, long k, const uint16_t *a, long a_row, long a_col, uint16_t *to, long row)
{
    for (long i = 0; i < m; i++)
        if (a_col == 1)
            memcpy(to + i * row, a + i * a_row, (size_t)k * 2);
    if (a_col == 1)
        return;
    for (long from = 0; from < m; from += 32) /* a block of columns at a time stays in the first cache */
        for (long p = 0; p < k; p++)
            for (long i = from; i < m && i < from + 32; i++)
                to[i * row + p] = a[i * a_row + p * a_col];
}

/* a as float32, in rows of an even length. */
static void widen_rows(long m, long k, const uint16_t *a, long a_row, long a_col, float *to)
{
    for (long i = 0; i < m; i++) {
        if (a_col == 1)
            for (long p = 0; p < k; p++)
                *to++ = widened(a[i * a_row + p]);
        else
            for (long p = 0; p < k; p++)
                *to++ = widened(a[i * a_row + p * a_col]);
        if (k % 2)
            *to++ = 0;
    }
}

/* A tile from a buffer to its place, or added to it. */
static void put(long rows, long columns, const float *from, long from_row, float *c, long c_row, int accumulate)
{
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++) {
            float *to = c + i * c_row + j;
            *to = accumulate ? *to + from[i * from_row + j] : from[i * from_row + j];
        }
}

/* Whether a product of pairs may lose something: it takes subnormal numbers for zeros, and makes none.
 *
 * `a`, `b`: bits less one of their smallest magnitudes but zero. All products are multiples of the product of the units
 * in the last place of those two, and so are all sums; where that is 2^-126 or more, none is subnormal. */
static int cautious(uint16_t a, uint16_t b)
{
    if (a == 0xffff || b == 0xffff)
        return 0;
    int first = (a + 1) >> 7, second = (b + 1) >> 7; /* exponents; units in the last place are 2^(exponent - 134) */
    if (first == 0 || second == 0)
        return SUBNORMAL;
    return first + second - 268 < -126;
}

/* Whether what a sum of pairs may have lost matters to one of them. Less than 2^-125 is lost for each pair. */
static int any_tiny(long rows, long columns, const float *x, long row)
{
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++)
            if (x[i * row + j] < 0x1p-64f && x[i * row + j] > -0x1p-64f)
                return 1;
    return 0;
}

typedef uint32_t four_words __attribute__((vector_size(16)));

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, y, i, j, k, l) __builtin_shufflevector(x, y, i, j, k, l)
#else
#define SHUFFLE(x, y, i, j, k, l) __builtin_shuffle(x, y, (four_words){i, j, k, l})
#endif

/* Four columns of b, of which each is contiguous, and up to 16 pairs of them, to rows of four words. */
INLINE void pack_block(long k, long columns, long width, const uint16_t *b, long b_col, uint32_t *to)
{
    for (long p = 0; p < 32 && p < k; p += 8, to += 4 * width) {
        four_words x[4] = {{0}};
        for (long j = 0; j < 4 && j < columns; j++)
            if (k - p >= 8)
                memcpy(&x[j], b + j * b_col + p, 16);
            else
                memcpy(&x[j], b + j * b_col + p, (size_t)(k - p) * 2);
        four_words low01 = SHUFFLE(x[0], x[1], 0, 4, 1, 5), high01 = SHUFFLE(x[0], x[1], 2, 6, 3, 7);
        four_words low23 = SHUFFLE(x[2], x[3], 0, 4, 1, 5), high23 = SHUFFLE(x[2], x[3], 2, 6, 3, 7);
        four_words rows[4] = {SHUFFLE(low01, low23, 0, 1, 4, 5), SHUFFLE(low01, low23, 2, 3, 6, 7),
                              SHUFFLE(high01, high23, 0, 1, 4, 5), SHUFFLE(high01, high23, 2, 3, 6, 7)};
        for (long q = 0; q < 4 && 2 * q < k - p; q++)
            memcpy(to + q * width, &rows[q], 16);
    }
}

#if defined(__x86_64__)

#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")))
#define LANES 16
#define ROWS 8
#define VECTORS 3
#define FMA(x, y, z) _mm512_fmadd_ps(x, y, z)
#include "kernels.h"

#if __GNUC__ >= 10 || __clang_major__ >= 9
#define NAME(x) x##_avx512_bf16
#define SHARED(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")))
#define LANES 16
#define ROWS 8
#define VECTORS 3
#define FMA(x, y, z) _mm512_fmadd_ps(x, y, z)
#define DOT(z, x, y) _mm512_dpbf16_ps(z, (__m512bh)(x), (__m512bh)(y))
#define HAS_DOT
#include "kernels.h"
#endif

#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define ROWS 4
#define VECTORS 3
#define FMA(x, y, z) _mm256_fmadd_ps(x, y, z)
#include "kernels.h"

#endif

#define NAME(x) x##_portable
#define TARGET
#define LANES 4
#define ROWS 4
#define VECTORS 2
#define FMA(x, y, z) ((x) * (y) + (z))
#include "kernels.h"

/* Sets of vector instructions, the fastest last. */
enum { PORTABLE, AVX2, AVX512, AVX512_BF16 };

/* The fastest set of vector instructions that this machine has. */
int sohu_product_level(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return AVX2;
#ifdef HAS_DOT
    if (__builtin_cpu_supports("avx512bf16"))
        return AVX512_BF16;
#endif
    return AVX512;
#else
    return PORTABLE;
#endif
}

/* As sohu_product_bf16, with a set of vector instructions; -1 also where the machine hasn't got it. */
int sohu_product_bf16_at(int level, long m, long n, long k, const uint16_t *a, long a_row, long a_col,
                         const uint16_t *b, long b_row, long b_col, float *c, long c_row, int accumulate)
{
    if (m < 0 || n < 0 || k < 0 || (a_row != 1 && a_col != 1) || (b_row != 1 && b_col != 1) || level < 0 ||
        level > sohu_product_level())
        return -1;
    if (m == 0 || n == 0)
        return 0;
    if (k == 0) {
        for (long i = 0; i < m && !accumulate; i++)
            memset(c + i * c_row, 0, (size_t)n * sizeof *c);
        return 0;
    }
    switch (level) {
#if defined(__x86_64__)
#ifdef HAS_DOT
    case AVX512_BF16:
        return product_avx512_bf16(m, n, k, a, a_row, a_col, b, b_row, b_col, c, c_row, accumulate);
#endif
    case AVX512: return product_avx512(m, n, k, a, a_row, a_col, b, b_row, b_col, c, c_row, accumulate);
    case AVX2: return product_avx2(m, n, k, a, a_row, a_col, b, b_row, b_col, c, c_row, accumulate);
#endif
    default: return product_portable(m, n, k, a, a_row, a_col, b, b_row, b_col, c, c_row, accumulate);
    }
}

/* c[m, n] = (accumulate ? c : 0) + a[m, k] @ b[k, n], with sums in float32.
 *
 * Strides are in elements. Of a's two strides one is 1, and of b's; rows of c are contiguous and `c_row` apart. Returns
 * 0, or -1 where strides are others or memory is short; c is untouched then. */
int sohu_product_bf16(long m, long n, long k, const uint16_t *a, long a_row, long a_col, const uint16_t *b, long b_row,
                      long b_col, float *c, long c_row, int accumulate)
{
    return sohu_product_bf16_at(sohu_product_level(), m, n, k, a, a_row, a_col, b, b_row, b_col, c, c_row, accumulate);
}
