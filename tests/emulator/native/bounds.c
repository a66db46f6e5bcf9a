/* Calls of product.c with arrays that end where memory of this program ends, for the sanitizers to watch.
 *
 * Factors are small whole numbers, whose sums are exact in any order. Prints how many products were right; exits with 1
 * at the first that is not. */

#include "product.c"

#include <stdio.h>

static uint16_t bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* A matrix with `gap` elements between lines, after its last line nothing. */
static uint16_t *matrix(long rows, long columns, int by_columns, long gap, long *row, long *col, int seed)
{
    long lines = by_columns ? columns : rows, length = by_columns ? rows : columns;
    *row = by_columns ? 1 : length + gap;
    *col = by_columns ? length + gap : 1;
    uint16_t *x = malloc((size_t)(lines ? (lines - 1) * (length + gap) + length : 0) * sizeof *x);
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++)
            x[i * *row + j * *col] = bf16((float)((i * 7 + j * 11 + seed) % 17 - 8));
    return x;
}

static long tried;

static int try(int level, long m, long n, long k, int layout, long gap)
{
    long a_row, a_col, b_row, b_col, c_row = n + gap;
    uint16_t *a = matrix(m, k, layout & 1, gap, &a_row, &a_col, 3), *b = matrix(k, n, layout & 2, gap, &b_row, &b_col, 5);
    float *c = malloc((size_t)(m ? (m - 1) * c_row + n : 0) * sizeof *c);
    int add = layout & 4, wrong = 0;
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++)
            c[i * c_row + j] = (float)(i + j);
    if (sohu_product_bf16_at(level, m, n, k, a, a_row, a_col, b, b_row, b_col, c, c_row, add))
        wrong = 1;
    for (long i = 0; i < m && !wrong; i++)
        for (long j = 0; j < n && !wrong; j++) {
            float sum = add ? (float)(i + j) : 0;
            for (long p = 0; p < k; p++)
                sum += widened(a[i * a_row + p * a_col]) * widened(b[p * b_row + j * b_col]);
            wrong = sum != c[i * c_row + j];
        }
    if (wrong)
        printf("wrong: level %d, m %ld, n %ld, k %ld, layout %d, gap %ld\n", level, m, n, k, layout, gap);
    free(a), free(b), free(c);
    tried++;
    return wrong;
}

int main(void)
{
    static const long ms[] = {0, 1, 3, 4, 5, 8, 11}, ns[] = {0, 1, 3, 16, 17, 48, 49, 97},
                      ks[] = {0, 1, 2, 7, 9, 31, 32, 33};
    for (int level = 0; level <= sohu_product_level(); level++) {
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
            for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
                for (size_t l = 0; l < sizeof ks / sizeof *ks; l++)
                    for (int layout = 0; layout < 8; layout++)
                        if (try(level, ms[i], ns[j], ks[l], layout, (long)(i + j + l) % 3))
                            return 1;
        for (int layout = 0; layout < 8; layout++)                     /* more than a strip, more than a panel */
            if (try(level, 3, 4100, 5, layout, 1) || try(level, 6, 700, 600, layout, 0) || try(level, 9, 50, 1024, layout, 0))
                return 1;
    }
    printf("%ld right\n", tried);
    return 0;
}
