// Registers, activations and the one matrix product that all of the engine is made of.
//
// What stands side by side in a register are units of one clip. A row of numbers takes as many registers as it fills, of
// the width that suits it, and is padded with zeros to their end.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>

constexpr int L = LANES ? LANES : __BIGGEST_ALIGNMENT__ / sizeof(REAL);  // 64 bytes of AVX-512, 32 of AVX, else 16
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int REGISTERS = 32;
#else
constexpr int REGISTERS = 16;
#endif

constexpr int lanes_for(int n) {
    int lanes = std::min(L, (int)(16 / sizeof(REAL)));
    while (lanes < n && lanes < L) lanes *= 2;
    return lanes;
}

template <int N> struct Row {  // of N numbers
    static constexpr int W = lanes_for(N), V = (N + W - 1) / W, SIZE = V * W;
    typedef REAL vec __attribute__((vector_size(sizeof(REAL) * W), may_alias));
};

typedef Row<H>::vec vec;  // for the hidden units
constexpr int HV = Row<H>::V, HP = Row<H>::SIZE, OP = Row<O>::SIZE;

static inline vec pick(decltype(vec{} < vec{}) mask, vec a, vec b) { return mask ? a : b; }

static inline vec tanh(vec x) {
    if (sizeof(REAL) == sizeof(double)) {  // which is for tests: exact, not fast
        for (int l = 0; l < Row<H>::W; l++) x[l] = std::tanh(x[l]);
        return x;
    }
    // Rational minimax approximation on [-7.9, 7.9], absolute error below 4e-7; tanhf would not vectorise.
    const vec bound = vec{} + (REAL)7.90531110763549805f;
    x = pick(x > bound, bound, pick(x < -bound, -bound, x));  // NaN stays NaN, here and below
    const vec z = x * x;
    vec p = z * -2.76076847742355e-16f + 2.00018790482477e-13f;
    p = p * z - 8.60467152213735e-11f;
    p = p * z + 5.12229709037114e-08f;
    p = p * z + 1.48572235717979e-05f;
    p = p * z + 6.37261928875436e-04f;
    p = (p * z + 4.89352455891786e-03f) * x;
    vec q = z * 1.19825839466702e-06f + 1.18534705686654e-04f;
    q = q * z + 2.26843463243900e-03f;
    return p / (q * z + 4.89352518554385e-03f);
}

static inline vec sigmoid(vec x) { return tanh(x * (REAL)0.5) * (REAL)0.5 + (REAL)0.5; }

// A sum over k < K and s < S of a[m * row + k * step + s * part], each times row (s, k) of b.
struct Term {
    const REAL* a;
    ptrdiff_t row, step, part;
    const REAL* b;
    ptrdiff_t b_step, b_part;
    int K, S = 1;
};

// M rows of c, V registers each, in registers from beginning to end: each number is one chain of fused multiply-adds,
// from `init` on through the terms in their order, whatever M and V are. It becomes c, or with ADD comes on top of c.
template <int M, int V, bool ADD, class vec, class... Terms>
__attribute__((always_inline)) inline void tile(REAL* c, ptrdiff_t row, const REAL* init, ptrdiff_t init_row, const Terms&... terms) {
    vec sum[M][V];
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 16
        for (int v = 0; v < V; v++) sum[m][v] = init ? ((const vec*)(init + m * init_row))[v] : vec{};
    auto add = [&](const Term& t) __attribute__((always_inline)) {
        for (int s = 0; s < t.S; s++) {
            const REAL *a = t.a + s * t.part, *b = t.b + s * t.b_part;
            for (int k = 0; k < t.K; k++, a += t.step, b += t.b_step) {
#pragma GCC unroll 16
                for (int m = 0; m < M; m++)
#pragma GCC unroll 16
                    for (int v = 0; v < V; v++) sum[m][v] += a[m * t.row] * ((const vec*)b)[v];
            }
        }
    };
    (add(terms), ...);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 16
        for (int v = 0; v < V; v++) {
            vec& there = ((vec*)(c + m * row))[v];
            there = ADD ? there + sum[m][v] : sum[m][v];
        }
}

// The same for any number of rows, by tiles of M, then of M / 2 and so on.
template <int M, int V, bool ADD, class vec, class... Terms>
__attribute__((always_inline)) inline void tiles(int rows, REAL* c, ptrdiff_t row, const REAL* init, ptrdiff_t init_row, Terms... terms) {
    for (; rows >= M; rows -= M, c += M * row) {
        tile<M, V, ADD, vec>(c, row, init, init_row, terms...);
        if (init) init += M * init_row;
        ((terms.a += M * terms.row), ...);
    }
    if constexpr (M > 1) tiles<M / 2, V, ADD, vec>(rows, c, row, init, init_row, terms...);
}

// The same for rows of N numbers, by columns of a few registers.
template <int N, bool ADD = false, int MOST = 10, class... Terms>
__attribute__((always_inline)) inline void product(int rows, REAL* c, ptrdiff_t row, const REAL* init, ptrdiff_t init_row, Terms... terms) {
    typedef typename Row<N>::vec vec;
    constexpr int V = Row<N>::V, W = Row<N>::W, FEW = std::min(V, REGISTERS / 8), M = REGISTERS / 16 * 10 / FEW >= 10 ? MOST : MOST / 2;
    for (int v = 0; v + FEW <= V; v += FEW, c += FEW * W) {
        tiles<M, FEW, ADD, vec>(rows, c, row, init, init_row, terms...);
        if (init) init += FEW * W;
        ((terms.b += FEW * W), ...);
    }
    if constexpr (V % FEW > 0) tiles<MOST / 2, V % FEW, ADD, vec>(rows, c, row, init, init_row, terms...);
}
