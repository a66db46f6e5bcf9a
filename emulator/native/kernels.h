/* The parts of product.c that are written in vectors, included once for each set of vector instructions.
 *
 * Given:  NAME(x)        the name of x in this set
 *         TARGET         __attribute__((target(...))) of its functions, or nothing
 *         LANES          floats in a vector
 *         ROWS, VECTORS  size of a tile of c in registers: ROWS rows of VECTORS vectors
 *         FMA(x, y, z)   x * y + z
 *         DOT(z, x, y)   z + the sum of both products of pairs of bf16, if it has that; only what uses it is compiled then,
 *                        and the rest is SHARED(x) of a set without it
 *
 * b is packed in tiles of VECTORS * LANES columns (fewer in the last one): for each pair of rows, a word for each column
 * that holds the two bf16, the earlier row in the lower half. Missing rows and columns are zero.
 *
 * An element of c is summed by one accumulator in the order k = 1, 0, 3, 2, 5, 4, ... (that of DOT), whatever m and n
 * are; only where b is transposed and m is small (`columns`), there is one for each lane, and they are summed last.
 * A product of bf16 is exact in float32 unless it overflows or is subnormal, so sums are the same to the bit in each set
 * of instructions and with or without FMA. */

typedef float NAME(floats) __attribute__((vector_size(LANES * 4)));
typedef float NAME(any_floats) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint32_t NAME(words) __attribute__((vector_size(LANES * 4)));
typedef uint32_t NAME(any_words) __attribute__((vector_size(LANES * 4), aligned(2), may_alias));
typedef uint16_t NAME(halves) __attribute__((vector_size(LANES * 2)));
typedef uint16_t NAME(any_halves) __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

#ifndef DOT
#define SHARED NAME
#endif
#define FLOATS NAME(floats)
#define WORDS NAME(words)
#define LOAD(from) ((FLOATS) * (const NAME(any_floats) *)(from))
#define STORE(to, x) (*(NAME(any_floats) *)(to) = (x))
#define LOAD_WORDS(from) ((WORDS) * (const NAME(any_words) *)(from))
#define LOAD_HALVES(from) ((NAME(halves)) * (const NAME(any_halves) *)(from))
#define LOWER(words) ((FLOATS)((words) << 16))
#define UPPER(words) ((FLOATS)((words) & 0xffff0000u))
#define EVERY(x) ((FLOATS){0} + (x))
#define WIDEN(halves) ((FLOATS)(__builtin_convertvector(halves, WORDS) << 16))
#define WIDTH (VECTORS * LANES)

/* Writes the sums of a tile to c, or adds them to it. */
#define FINISH                                                  \
    UNROLL for (int i = 0; i < rows; i++)                       \
        UNROLL for (int v = 0; v < vectors; v++) {              \
            float *to = c + i * c_row + v * LANES;              \
            STORE(to, accumulate ? LOAD(to) + sum[i][v] : sum[i][v]); \
        }

#ifdef DOT
#define PAIR(i, bits)                                           \
    FLOATS pair = (FLOATS)((WORDS){0} + (bits));                \
    UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = DOT(sum[i][v], pair, right[v]);

/* A tile of c from pairs; a in rows of bf16. */
INLINE TARGET void NAME(dot)(int rows, int vectors, long k, const uint16_t *a, long a_row, const uint32_t *b, float *c,
                             long c_row, int accumulate)
{
    FLOATS sum[ROWS][VECTORS], right[VECTORS];
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = (FLOATS){0};
    for (long p = 0; p < k / 2; p++, b += vectors * LANES) {
        UNROLL for (int v = 0; v < vectors; v++) right[v] = (FLOATS)LOAD_WORDS(b + v * LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            uint32_t bits;
            memcpy(&bits, a + i * a_row + 2 * p, sizeof bits);
            PAIR(i, bits)
        }
    }
    if (k % 2) {
        UNROLL for (int v = 0; v < vectors; v++) right[v] = (FLOATS)LOAD_WORDS(b + v * LANES);
        UNROLL for (int i = 0; i < rows; i++) { PAIR(i, (uint32_t)a[i * a_row + k - 1]) }
    }
    FINISH
}
#undef PAIR

#else
/* A tile of c from floats; a in rows of float32, of an even length (the last may be a zero). */
INLINE TARGET void NAME(fma)(int rows, int vectors, long k, const float *a, long a_row, const uint32_t *b, float *c,
                             long c_row, int accumulate)
{
    FLOATS sum[ROWS][VECTORS], right[VECTORS];
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = (FLOATS){0};
    for (long p = 0; p < (k + 1) / 2; p++, b += vectors * LANES) {
        UNROLL for (int v = 0; v < vectors; v++) right[v] = UPPER(LOAD_WORDS(b + v * LANES));
        UNROLL for (int i = 0; i < rows; i++) {
            FLOATS left = EVERY(a[i * a_row + 2 * p + 1]);
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = FMA(left, right[v], sum[i][v]);
        }
        UNROLL for (int v = 0; v < vectors; v++) right[v] = LOWER(LOAD_WORDS(b + v * LANES));
        UNROLL for (int i = 0; i < rows; i++) {
            FLOATS left = EVERY(a[i * a_row + 2 * p]);
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = FMA(left, right[v], sum[i][v]);
        }
    }
    FINISH
}
#endif

/* Tiles of rows and vectors whose numbers are known when it runs: 8, 4, 2 or 1 rows have their own code. */
#if VECTORS == 3
#define CASES(f, rows) CASE(f, rows, 1) CASE(f, rows, 2) CASE(f, rows, 3)
#else
#define CASES(f, rows) CASE(f, rows, 1) CASE(f, rows, 2)
#endif
#if ROWS == 8
#define ALL_CASES(f) CASES(f, 1) CASES(f, 2) CASES(f, 4) CASES(f, 8)
#else
#define ALL_CASES(f) CASES(f, 1) CASES(f, 2) CASES(f, 4)
#endif
#define CASE(f, some, vectors) \
    case some * 4 + vectors: NAME(f)(some, vectors, k, a, a_row, b, c, c_row, accumulate); break;
#define TILE(f)                                                          \
    for (int some = ROWS; rows; some /= 2)                               \
        for (; rows >= some; rows -= some, a += some * a_row, c += some * c_row) \
            switch (some * 4 + vectors) { ALL_CASES(f) }

#ifdef DOT
static TARGET void NAME(dot_tile)(int rows, int vectors, long k, const uint16_t *a, long a_row, const uint32_t *b,
                                  float *c, long c_row, int accumulate)
{
    TILE(dot)
}
#else
static TARGET void NAME(fma_tile)(int rows, int vectors, long k, const float *a, long a_row, const uint32_t *b,
                                  float *c, long c_row, int accumulate)
{
    TILE(fma)
}
#endif

#undef TILE
#undef CASE
#undef CASES
#undef ALL_CASES

#ifndef DOT
/* Packs `columns` columns of b, padded to `width`, from its rows. */
static TARGET void NAME(pack_rows)(long k, long columns, long width, const uint16_t *b, long b_row, uint32_t *to)
{
    for (long p = 0; p < k; p += 2, b += 2 * b_row, to += width) {
        const uint16_t *first = b, *second = p + 1 < k ? b + b_row : zeros;
        long j = 0;
        for (; j + LANES <= columns; j += LANES)
            *(NAME(any_words) *)(to + j) = __builtin_convertvector(LOAD_HALVES(first + j), WORDS) |
                                           __builtin_convertvector(LOAD_HALVES(second + j), WORDS) << 16;
        for (; j < columns; j++)
            to[j] = first[j] | (uint32_t)second[j] << 16;
        for (; j < width; j++)
            to[j] = 0;
    }
}

/* The same from b transposed: its columns are contiguous, so pairs are words as they lie there. */
static TARGET void NAME(pack_columns)(long k, long columns, long width, const uint16_t *b, long b_col, uint32_t *to)
{
    for (long from = 0; from < width; from += 16) { /* a line of what is written */
        long end = width - from < 16 ? width - from : 16;
        for (long p = 0; p < (k + 1) / 2; p += 16) /* lines of what is read */
            for (long j = from; j < from + end; j += 4)
                pack_block(k - 2 * p, columns - j, width, b + j * b_col + 2 * p, b_col, to + p * width + j);
    }
}

/* c = a @ b for few rows: b is read once, DEPTH rows side by side, and not packed. a is float32 here, its rows padded with
 * zeros to a multiple of DEPTH. */
INLINE TARGET void NAME(rows)(int rows, long n, long k, const float *a, long a_row, const uint16_t *b, long b_row,
                              float *c, long c_row, int accumulate)
{
    float sum[FEW * STRIP];
    for (long start = 0; start < n; start += STRIP) {
        long columns = n - start < STRIP ? n - start : STRIP;
        memset(sum, 0, (size_t)rows * STRIP * sizeof *sum);
        for (long p = 0; p < k; p += DEPTH) {
            const uint16_t *from[DEPTH];
            for (int q = 0; q < DEPTH; q++)
                from[q] = p + q < k ? b + (p + q) * b_row + start : zeros;
            long j = 0;
            for (; j + LANES <= columns; j += LANES) {
                FLOATS s[FEW];
                UNROLL for (int i = 0; i < rows; i++) s[i] = LOAD(sum + i * STRIP + j);
                UNROLL for (int q = 0; q < DEPTH; q++) {
                    FLOATS right = WIDEN(LOAD_HALVES(from[q ^ 1] + j));
                    UNROLL for (int i = 0; i < rows; i++) s[i] = FMA(EVERY(a[i * a_row + p + (q ^ 1)]), right, s[i]);
                }
                UNROLL for (int i = 0; i < rows; i++) STORE(sum + i * STRIP + j, s[i]);
            }
            for (int q = 0; j < columns && q < DEPTH; q++) {
                NAME(halves) last = {0};
                memcpy(&last, from[q ^ 1] + j, (size_t)(columns - j) * 2);
                for (int i = 0; i < rows; i++) {
                    float *to = sum + i * STRIP + j; /* STRIP is a multiple of LANES: this stays within it */
                    STORE(to, FMA(EVERY(a[i * a_row + p + (q ^ 1)]), WIDEN(last), LOAD(to)));
                }
            }
        }
        for (int i = 0; i < rows; i++)
            put(1, columns, sum + i * STRIP, 0, c + i * c_row + start, 0, accumulate);
    }
}

/* The same for b transposed: sums run along its contiguous columns. Four are read side by side, far from one another:
 * memory gives several streams faster than one. In a, the floats of each 2 * LANES
 * are ordered: those of even k, then those of odd k; rows are padded with zeros. */
INLINE TARGET void NAME(columns)(int rows, long n, long k, const float *a, long a_row, const uint16_t *b, long b_col,
                                 float *c, long c_row, int accumulate)
{
    const long apart = (n + 3) / 4;
    for (long start = 0; start < apart; start++) {
        const uint16_t *from[4];
        uint32_t last[4 * LANES] = {0};
        FLOATS sum[FEW][4];
        UNROLL for (int j = 0; j < 4; j++) {
            long column = start + j * apart;
            from[j] = b + (column < n ? column : start) * b_col;
        }
        UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < 4; j++) sum[i][j] = (FLOATS){0};
        for (long p = 0; p < k; p += 2 * LANES) {
            const uint16_t *at[4];
            UNROLL for (int j = 0; j < 4; j++) at[j] = from[j] + p;
            if (p + 2 * LANES > k)
                UNROLL for (int j = 0; j < 4; j++) {
                    memcpy(last + j * LANES, at[j], (size_t)(k - p) * 2);
                    at[j] = (const uint16_t *)(last + j * LANES);
                }
            UNROLL for (int j = 0; j < 4; j++) {
                WORDS pairs = LOAD_WORDS(at[j]);
                UNROLL for (int i = 0; i < rows; i++) {
                    sum[i][j] = FMA(LOAD(a + i * a_row + p), LOWER(pairs), sum[i][j]);
                    sum[i][j] = FMA(LOAD(a + i * a_row + p + LANES), UPPER(pairs), sum[i][j]);
                }
            }
        }
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < 4; j++) {
                float lanes[LANES];
                STORE(lanes, sum[i][j]);
                for (int half = LANES / 2; half; half /= 2)
                    for (int l = 0; l < half; l++)
                        lanes[l] += lanes[l + half];
                if (start + j * apart < n)
                    put(1, 1, lanes, 0, c + i * c_row + start + j * apart, 0, accumulate);
            }
    }
}

/* Few rows: b is read once, at the speed of memory. Returns 0, or -1 without memory. */
static TARGET int NAME(few)(long m, long n, long k, const uint16_t *a, long a_row, long a_col, const uint16_t *b,
                            long b_row, long b_col, float *c, long c_row, int accumulate)
{
    long length = (k + 2 * LANES - 1) / (2 * LANES) * (2 * LANES);
    float *left = calloc((size_t)(m * length), sizeof *left);
    if (!left)
        return -1;
    for (long i = 0; i < m; i++)
        for (long p = 0; p < k; p++) {
            long lane = p % (2 * LANES);
            long at = b_col == 1 ? p : p - lane + lane / 2 + lane % 2 * LANES;
            left[i * length + at] = widened(a[i * a_row + p * a_col]);
        }
    if (b_col == 1) {
        switch (m) {
        case 1: NAME(rows)(1, n, k, left, length, b, b_row, c, c_row, accumulate); break;
        case 2: NAME(rows)(2, n, k, left, length, b, b_row, c, c_row, accumulate); break;
        case 3: NAME(rows)(3, n, k, left, length, b, b_row, c, c_row, accumulate); break;
        case 4: NAME(rows)(4, n, k, left, length, b, b_row, c, c_row, accumulate); break;
        }
    } else {
        switch (m) {
        case 1: NAME(columns)(1, n, k, left, length, b, b_col, c, c_row, accumulate); break;
        case 2: NAME(columns)(2, n, k, left, length, b, b_col, c, c_row, accumulate); break;
        case 3: NAME(columns)(3, n, k, left, length, b, b_col, c, c_row, accumulate); break;
        case 4: NAME(columns)(4, n, k, left, length, b, b_col, c, c_row, accumulate); break;
        }
    }
    free(left);
    return 0;
}

#endif

#ifdef DOT
/* The smallest magnitude but zero, as bits less one; 0xffff where all are zero. */
static TARGET uint16_t NAME(smallest)(const uint16_t *x, long count, uint16_t least)
{
    for (long i = 0; i < count; i++) {
        uint16_t size = (uint16_t)((x[i] & 0x7fff) - 1);
        least = size < least ? size : least;
    }
    return least;
}
#endif

/* Many rows: panels of b are packed and stay in the second cache. Returns 0, or -1 without memory. */
static TARGET int NAME(many)(long m, long n, long k, const uint16_t *a, long a_row, long a_col, const uint16_t *b,
                             long b_row, long b_col, float *c, long c_row, int accumulate)
{
    long pairs = (k + 1) / 2, tiles = PANEL / (pairs * WIDTH);
    tiles = tiles < 1 ? 1 : tiles;
    if (tiles > (n + WIDTH - 1) / WIDTH)
        tiles = (n + WIDTH - 1) / WIDTH;
    uint32_t *panel = aligned((size_t)(pairs * WIDTH * tiles) * 4);
    uint16_t *copy = NULL; /* a in rows, where it isn't or where they would evict one another from the first cache */
    float *wide = aligned((size_t)(m * pairs) * 8); /* a in float32 */
    int status = -1;
    if (!panel || !wide)
        goto end;
#ifdef DOT
    int filled = 0;
    if (a_col != 1 || a_row % 1024 == 0) {
        long row = k + 32 + k % 2;
        if (!(copy = aligned((size_t)(m * row) * 2)))
            goto end;
        copy_rows(m, k, a, a_row, a_col, copy, row);
        a = copy, a_row = row, a_col = 1;
    }
    uint16_t least = 0xffff;
    for (long i = 0; i < m; i++)
        least = NAME(smallest)(a + i * a_row, k, least);
    float buffer[ROWS * WIDTH];
#else
    widen_rows(m, k, a, a_row, a_col, wide);
#endif
    for (long from = 0; from < n; from += tiles * WIDTH) {
        long to = from + tiles * WIDTH < n ? from + tiles * WIDTH : n;
        uint32_t *packed = panel;
        for (long j = from; j < to; j += WIDTH) {
            long columns = to - j < WIDTH ? to - j : WIDTH, width = (columns + LANES - 1) / LANES * LANES;
            if (b_col == 1)
                SHARED(pack_rows)(k, columns, width, b + j, b_row, packed);
            else
                SHARED(pack_columns)(k, columns, width, b + j * b_col, b_col, packed);
            packed += pairs * width;
        }
#ifdef DOT
        int caution = cautious(least, NAME(smallest)((uint16_t *)panel, (packed - panel) * 2, 0xffff));
        if (caution && !filled)
            widen_rows(m, k, a, a_row, a_col, wide), filled = 1;
#endif
        for (long i = 0; i < m; i += ROWS) {
            int rows = m - i < ROWS ? (int)(m - i) : ROWS;
            packed = panel;
            for (long j = from; j < to; j += WIDTH) {
                int columns = to - j < WIDTH ? (int)(to - j) : WIDTH, vectors = (columns + LANES - 1) / LANES;
                float *out = c + i * c_row + j;
#ifdef DOT
                if (!caution && columns == vectors * LANES) {
                    NAME(dot_tile)(rows, vectors, k, a + i * a_row, a_row, packed, out, c_row, accumulate);
                } else {
                    if (caution != SUBNORMAL)
                        NAME(dot_tile)(rows, vectors, k, a + i * a_row, a_row, packed, buffer, WIDTH, 0);
                    if (caution == SUBNORMAL || (caution && any_tiny(rows, columns, buffer, WIDTH)))
                        SHARED(fma_tile)(rows, vectors, k, wide + i * 2 * pairs, 2 * pairs, packed, buffer, WIDTH, 0);
                    put(rows, columns, buffer, WIDTH, out, c_row, accumulate);
                }
#else
                if (columns == vectors * LANES) {
                    SHARED(fma_tile)(rows, vectors, k, wide + i * 2 * pairs, 2 * pairs, packed, out, c_row, accumulate);
                } else {
                    float buffer[ROWS * WIDTH];
                    SHARED(fma_tile)(rows, vectors, k, wide + i * 2 * pairs, 2 * pairs, packed, buffer, WIDTH, 0);
                    put(rows, columns, buffer, WIDTH, out, c_row, accumulate);
                }
#endif
                packed += pairs * vectors * LANES;
            }
        }
    }
    status = 0;
end:
    free(wide);
    free(copy);
    free(panel);
    return status;
}

static TARGET int NAME(product)(long m, long n, long k, const uint16_t *a, long a_row, long a_col, const uint16_t *b,
                                long b_row, long b_col, float *c, long c_row, int accumulate)
{
    if (m <= FEW)
        return SHARED(few)(m, n, k, a, a_row, a_col, b, b_row, b_col, c, c_row, accumulate);
    return NAME(many)(m, n, k, a, a_row, a_col, b, b_row, b_col, c, c_row, accumulate);
}

#undef FLOATS
#undef WORDS
#undef LOAD
#undef STORE
#undef LOAD_WORDS
#undef LOAD_HALVES
#undef LOWER
#undef UPPER
#undef EVERY
#undef WIDEN
#undef WIDTH
#undef FINISH
#undef NAME
#undef SHARED
#undef TARGET
#undef LANES
#undef ROWS
#undef VECTORS
#undef FMA
#undef DOT
