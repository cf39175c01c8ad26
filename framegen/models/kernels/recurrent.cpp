// Recurrent layers with a linear head: many training steps of many networks in one call. See fused.py for the contract.
//
// Compiled for one shape: I inputs, D layers of H units of a CELL, O outputs, of which a density head has all but F where it
// has MIX components; REAL float or double, LANES 0 for as many as fill a register. A network's P parameters stand in PyTorch's
// own order: of each layer weight_ih, weight_hh, bias_ih and bias_hh, then the head's weight (F, H) and bias (F), and the
// density head's. The carried state is (B, D, STATES, H).
//
// Every sum is made in one order, whatever the registers and the tiles: the gradient of each clip by itself, from the last
// step to the first, and clip after clip.
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "cells.hpp"
#include "mixture.hpp"

constexpr int F = MIX ? (O - MIX) / (2 * MIX + 1) : O;  // values of a frame
constexpr int SLOTS = CELL::SLOTS, X = CELL::X, FIRST = CELL::FIRST, R = CELL::R, STATES = CELL::STATES;
constexpr int SUMS = std::max(X, FIRST + R);
constexpr ptrdiff_t A = D * SLOTS * HP, S = D * STATES * HP;  // of all layers, a clip's sums and states at a time step

// Where layer l's weights stand: for the way forward, and so in the gradient, as (slot, from, to) with the layer below, with
// the last state, and the bias; for the way back as (slot, to, from), with the last state and with the layer below.
constexpr int inputs_of(int l) { return l ? H : I; }
constexpr int wide(int n) { return (n + L - 1) / L * L; }
constexpr int hidden_in(int l) { return X * inputs_of(l) * HP; }
constexpr int bias_in(int l) { return hidden_in(l) + R * H * HP; }
constexpr int layer(int l) { return l ? layer(l - 1) + bias_in(l - 1) + SUMS * HP : 0; }
constexpr int back(int l) { return l * (R + X) * H * HP; }
constexpr int HEAD = wide(layer(D)), HEAD_BIAS = HEAD + H * OP, FORWARD = wide(HEAD_BIAS + OP);
constexpr int BACK_HEAD = back(D), BACK = wide(BACK_HEAD + O * HP);

struct Run { int size, forward, stride, back; };  // of parameters that follow one another; back is -1 where it isn't needed

static std::vector<Run> find_runs() {
    std::vector<Run> runs;
    const auto each = [](const int* from, int gates, auto put) {
        for (int gate = 0; gate < gates; gate++) put(int(std::find(from, from + gates, gate) - from));
    };
    for (int l = 0; l < D; l++) {
        const int w = layer(l), in = inputs_of(l);
        const auto matrix = [&](int at, int at_back, int in) {
            for (int j = 0; j < H; j++) runs.push_back({in, w + at + j, HP, at_back < 0 ? -1 : back(l) + at_back + j * HP});
        };
        const auto bias = [&](int s) { runs.push_back({H, w + bias_in(l) + s * HP, 1, -1}); };
        each(CELL::from_x, X, [&](int s) { matrix(s * in * HP, l ? (R + s) * H * HP : -1, in); });
        each(CELL::from_h, R, [&](int s) { matrix(hidden_in(l) + s * H * HP, s * H * HP, H); });
        each(CELL::from_x, X, bias);
        each(CELL::from_h, R, [&](int s) { bias(FIRST + s); });
    }
    for (const auto [first, end] : {std::pair{0, F}, {F, O}}) {
        for (int o = first; o < end; o++) runs.push_back({H, HEAD + o, OP, BACK_HEAD + o * HP});
        runs.push_back({end - first, HEAD_BIAS + first, 1, -1});
    }
    return runs;
}
static const std::vector<Run> RUNS = find_runs();

static void pack(const REAL* w, REAL* forward, REAL* back) {
    std::fill_n(forward, FORWARD, (REAL)0), std::fill_n(back, BACK, (REAL)0);
    for (const Run& run : RUNS) {
        for (int k = 0; k < run.size; k++) forward[run.forward + k * run.stride] += w[k];  // two biases may meet in one place
        if (run.back >= 0) std::copy_n(w, run.size, back + run.back);
        w += run.size;
    }
}

struct alignas(sizeof(REAL) * L) Register { REAL at[L]; };
struct Buffer {
    std::vector<Register> registers;
    REAL* get(size_t size) { return registers.resize(std::max(registers.size(), size / L + 1)), registers[0].at; }
};
static const REAL ONE = 1;
#define NOINLINE __attribute__((noinline))  // compiled once and not at each call

// One step of a layer with weights w, for n clips: from the input x and the last state its sums and the next state, which may
// stand in the last one's place. All pointers are to the first clip; x_row and so on lead from one clip to the next.
template <int IN>
NOINLINE static void step(const REAL* w, int n, const REAL* x, ptrdiff_t x_row, const REAL* last, REAL* next, ptrdiff_t row, REAL* a,
                        ptrdiff_t a_row) {
    const REAL *hidden = w + X * IN * HP, *bias = hidden + R * H * HP;
    for (int s = 0; s < SUMS; s++) {
        const bool of_x = X == SUMS || s < X, of_h = R == SUMS || (s >= FIRST && s < FIRST + R);
        product<H>(n, a + s * HP, a_row, bias + s * HP, 0, Term{x, x_row, 1, 0, w + s * IN * HP, HP, 0, of_x ? IN : 0, 1},
                   Term{last, row, 1, 0, hidden + (s - FIRST) * H * HP, HP, 0, of_h ? H : 0, 1});
    }
    for (int b = 0; b < n; b++) CELL::forward((vec*)(a + b * a_row), (const vec*)(last + b * row), (vec*)(next + b * row));
}

// The same for all layers; h the state, a the sums.
static inline void step_all(const REAL* w, int n, const REAL* x, ptrdiff_t x_row, const REAL* last, REAL* next, ptrdiff_t row, REAL* a,
                            ptrdiff_t a_row) {
    step<I>(w, n, x, x_row, last, next, row, a, a_row);
    for (int l = 1; l < D; l++) {
        const int own = l * STATES * HP;
        step<H>(w + layer(l), n, next + own - STATES * HP, row, last + own, next + own, row, a + l * SLOTS * HP, a_row);
    }
}

// Rows of predictions y from the last layer's h.
NOINLINE static void head(const REAL* w, int n, const REAL* h, ptrdiff_t h_row, REAL* y, ptrdiff_t y_row) {
    product<O>(n, y, y_row, w + HEAD_BIAS, 0, Term{h + S - STATES * HP, h_row, 1, 0, w + HEAD, OP, 0, H, 1});
}

// Errors e (n, T, OP), in place of the predictions, times 2 scale; and clip after clip the sum of the squares, on top of loss.
static void errors(REAL* e, int n, int T, const REAL* targets, const int64_t* index, REAL scale, REAL& loss) {
    constexpr int FEW = 8;  // clips whose sums are made side by side
    typedef REAL clips __attribute__((vector_size(sizeof(REAL) * FEW)));
    for (int b = 0; b < n; b++) {
        const REAL* y = targets + index[b] * (size_t)T * F;
        for (int t = 0; t < T; t++)
            for (int o = 0; o < F; o++) e[((size_t)b * T + t) * OP + o] -= y[t * F + o];
    }
    for (int first = 0; first < n; first += FEW) {
        const REAL* clip[FEW];
        clips sum = {}, each;
        for (int b = 0; b < FEW; b++) clip[b] = e + (size_t)std::min(first + b, n - 1) * T * OP;
        for (int t = T - 1; t >= 0; t--)
            for (int o = 0; o < F; o++) {
#pragma GCC unroll 8
                for (int b = 0; b < FEW; b++) each[b] = clip[b][t * OP + o];
                sum += each * each;
            }
        for (int b = first; b < std::min(first + FEW, n); b++) loss += sum[b - first];
    }
    for (size_t k = 0; k < (size_t)n * T * OP; k++) e[k] *= 2 * scale;
}

// The same of mixtures: the gradient of scale times the bits that each clip's frames take, and those bits.
static void surprises(REAL* e, int n, int T, const REAL* targets, const int64_t* index, REAL scale, REAL& loss) {
    const REAL bit = (REAL)1.44269504088896340736;  // of a natural logarithm
    for (int b = 0; b < n; b++) {
        REAL bits = 0;
        for (int t = T - 1; t >= 0; t--)
            bits += bit * surprise<F, std::max(MIX, 1)>(e + ((size_t)b * T + t) * OP, targets + (index[b] * (size_t)T + t) * F, scale * bit);
        loss += bits;
    }
}

// The gradient of a layer's sums in their place, from that of what stands above: the head's errors, or the layer's sums.
template <bool TOP>
static void back_through_time(const REAL* w, int l, int n, int T, const REAL* e, const REAL* h, REAL* a, REAL* d, REAL* carry) {
    a += l * SLOTS * HP, h += l * STATES * HP, w += back(l);
    std::fill_n(carry, n * HP, (REAL)0);
    for (ptrdiff_t t = T - 1; t >= 0; t--) {
        REAL* now = a + t * A;
        const Term later{now + A + FIRST * HP, T * A, 1, HP, w, HP, H * HP, t + 1 < T ? H : 0, R};
        if constexpr (TOP)
            product<H>(n, d, HP, nullptr, 0, later, Term{e + t * OP, (ptrdiff_t)T * OP, 1, 0, w + back(1), HP, 0, O, 1});
        else
            product<H>(n, d, HP, nullptr, 0, later,
                       Term{now + SLOTS * HP, T * A, 1, HP, w + back(1) + R * H * HP, HP, H * HP, H, X});
        for (int b = 0; b < n; b++) {
            const REAL* last = h + (b * (T + (ptrdiff_t)1) + t) * S;
            CELL::backward((vec*)(now + b * T * A), (const vec*)last, (const vec*)(last + S), (const vec*)(d + b * HP),
                           (vec*)(carry + b * HP));
        }
    }
}

// g (rows, N) += the sum over a clip's steps, from the last to the first, of from (rows) times to (N).
template <int N>
NOINLINE static void outer(REAL* g, int rows, int T, const REAL* from, ptrdiff_t from_step, const REAL* to, ptrdiff_t to_step) {
    constexpr int SIZE = Row<N>::SIZE;
    from += (T - 1) * from_step, to += (T - 1) * to_step;
    product<N, true, 8>(rows, g, SIZE, nullptr, 0, Term{from, 1, -from_step, 0, to, -to_step, 0, T, 1});
}

// The gradient of a layer's weights from one clip: x what the layer was fed, h its states, a the gradient of its sums.
template <int IN>
static void weight_gradient(int T, const REAL* x, ptrdiff_t x_step, const REAL* h, const REAL* a, REAL* g) {
    for (int s = 0; s < X; s++) outer<H>(g + s * IN * HP, IN, T, x, x_step, a + s * HP, A);
    g += X * IN * HP;
    for (int s = 0; s < R; s++) outer<H>(g + s * H * HP, H, T, h, S, a + (FIRST + s) * HP, A);
    g += R * H * HP;
    for (int s = 0; s < SUMS; s++) outer<H>(g + s * HP, 1, T, &ONE, 0, a + s * HP, A);
}

// n states to or from PyTorch's rows of H; row leads from one clip's to the next one's.
static void load(REAL* own, ptrdiff_t row, const REAL* given, int n) {
    for (int b = 0; b < n; b++)
        for (int k = 0; k < D * STATES; k++, given += H) std::copy_n(given, H, own + b * row + k * HP);
}
static void store(const REAL* own, ptrdiff_t row, REAL* given, int n) {
    for (int b = 0; b < n; b++)
        for (int k = 0; k < D * STATES; k++, given += H) std::copy_n(own + b * row + k * HP, H, given);
}

// What n clips bring on top of `loss`, their squared errors, or bits, and of G (FORWARD), the gradient of scale times that.
static void pass(const REAL* w, const REAL* w_back, const REAL* inputs, const REAL* targets, const int64_t* index, int n, int T, REAL* state,
                 REAL scale, REAL& loss, REAL* G) {
    thread_local Buffer inputs_at, errors_at, states_at, sums_at, d_at, carry_at;
    REAL *x = inputs_at.get((size_t)n * T * I), *e = errors_at.get((size_t)n * T * OP), *a = sums_at.get(n * T * A);
    REAL *h = states_at.get(n * (T + 1) * S), *d = d_at.get(n * HP), *carry = carry_at.get(n * HP);
    const ptrdiff_t row = (T + 1) * S;
    for (int b = 0; b < n; b++) {
        std::copy_n(inputs + index[b] * (size_t)T * I, T * I, x + (size_t)b * T * I);
        std::fill_n(h + b * row, S, (REAL)0);
    }
    if (state) load(h, row, state, n);
    for (ptrdiff_t t = 0; t < T; t++) step_all(w, n, x + t * I, (ptrdiff_t)T * I, h + t * S, h + (t + 1) * S, row, a + t * A, T * A);
    if (state) store(h + T * S, row, state, n);
    for (int b = 0; b < n; b++) head(w, T, h + b * row + S, S, e + (size_t)b * T * OP, OP);
    (MIX ? surprises : errors)(e, n, T, targets, index, scale, loss);
    back_through_time<true>(w_back, D - 1, n, T, e, h, a, d, carry);
    for (int l = D - 2; l >= 0; l--) back_through_time<false>(w_back, l, n, T, e, h, a, d, carry);
    for (int b = 0; b < n; b++, h += row, a += T * A, e += T * OP, x += T * I) {
        weight_gradient<I>(T, x, I, h, a, G);
        for (int l = 1; l < D; l++)
            weight_gradient<H>(T, h + S + (l - 1) * STATES * HP, S, h + l * STATES * HP, a + l * SLOTS * HP, G + layer(l));
        outer<O>(G + HEAD, H, T, h + 2 * S - STATES * HP, S, e, OP);
        outer<O>(G + HEAD_BIAS, 1, T, &ONE, 0, e, OP);
    }
}

extern "C" {

// Loss of a batch of B clips, its gradient g (P) and the squares' sum of that; `state` (B, D, STATES, H) goes in and comes
// out, none is a state of 0.
void gradient(const REAL* inputs, const REAL* targets, const int64_t* index, int B, int T, const REAL* weights, REAL* state, REAL* g,
              REAL* loss, double* squares) {
    thread_local Buffer forward_at, back_at, total_at;
    REAL *w = forward_at.get(FORWARD), *w_back = back_at.get(BACK), *total = total_at.get(FORWARD), sum = 0;
    const REAL count = (REAL)B * T * F;
    pack(weights, w, w_back);
    std::fill_n(total, FORWARD, (REAL)0);
    for (int b = 0; b < B; b += L)
        pass(w, w_back, inputs, targets, index + b, std::min(L, B - b), T, state ? state + b * S / HP * H : nullptr, 1 / count, sum,
             total);
    double squared[8] = {};  // side by side: a single sum would wait for each addition
    for (const Run& run : RUNS)
        for (int k = 0; k < run.size; k++, g++) *g = total[run.forward + k * run.stride], squared[k % 8] += (double)*g * *g;
    *loss = sum / count, *squares = std::accumulate(squared, squared + 8, 0.0);
}

// Adam (Kingma and Ba, 2015, algorithm 1) on each of K networks, after n0 steps: each takes its N clips, `index` (K, N),
// in batches of B, the last one smaller where N is no multiple. Losses and norms (K, steps), learning_rate (steps).
void train(const REAL* inputs, const REAL* targets, const int64_t* index, int K, int N, int B, int T, REAL* weights, REAL* means,
           REAL* variances, REAL* state, int64_t n0, const double* learning_rate, double max_norm, REAL* losses, REAL* norms,
           int threads) {
    const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    const int P = std::accumulate(RUNS.begin(), RUNS.end(), 0, [](int sum, const Run& run) { return sum + run.size; });
    const int steps = (N + B - 1) / B;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int k = 0; k < K; k++) {
        std::vector<REAL> g(P);
        REAL *w = weights + (size_t)k * P, *m = means + (size_t)k * P, *v = variances + (size_t)k * P;
        REAL* carried = state ? state + k * B * S / HP * H : nullptr;
        for (int s = 0; s < steps; s++) {
            const int64_t* batch = index + (size_t)k * N + (size_t)s * B;
            REAL &loss = losses[(size_t)k * steps + s], &norm = norms[(size_t)k * steps + s];
            double squares;
            gradient(inputs, targets, batch, std::min(B, N - s * B), T, w, carried, g.data(), &loss, &squares);
            norm = std::sqrt(squares);
            if (!std::isfinite(loss) || !std::isfinite(norm)) break;  // the caller stops there, weights untouched
            const REAL clip = max_norm < norm ? max_norm / (norm + 1e-6) : 1;
            const double n = n0 + s + 1;
            const REAL rate = learning_rate[s] / (1 - std::pow(beta1, n)), root = 1 / std::sqrt(1 - std::pow(beta2, n));
            for (int p = 0; p < P; p++) {
                const REAL gp = g[p] * clip;
                m[p] += (gp - m[p]) * (REAL)(1 - beta1);
                v[p] = (REAL)beta2 * v[p] + (REAL)(1 - beta2) * gp * gp;
                w[p] -= rate * m[p] / (std::sqrt(v[p]) * root + (REAL)epsilon);
            }
        }
    }
}

// Predictions (B, T, O) of one network; `state` (B, D, STATES, H) goes in and comes out. Inputs (B, context, I): where they end
// before T, each prediction is the next input.
void predict(const REAL* inputs, int B, int context, int T, const REAL* weights, REAL* state, REAL* predictions, int threads) {
    constexpr int GROUP = 20;
    Buffer forward_at, back_at;
    REAL* w = forward_at.get(FORWARD);
    pack(weights, w, back_at.get(BACK));
#pragma omp parallel for schedule(static) num_threads(threads) if (B > 8 * L)
    for (int first = 0; first < B; first += GROUP) {
        const int n = std::min(B - first, GROUP);
        alignas(Register) REAL h[GROUP * S] = {}, a[GROUP * A], y[GROUP * OP];
        REAL* carried = state + first * S / HP * H;
        load(h, S, carried, n);
        for (ptrdiff_t t = 0; t < T; t++) {
            const bool given = t < context;
            const REAL* x = given ? inputs + ((ptrdiff_t)first * context + t) * I : y;
            step_all(w, n, x, given ? (ptrdiff_t)context * I : OP, h, h, S, a, A);
            head(w, n, h, S, y, OP);
            for (int b = 0; b < n; b++) std::copy_n(y + b * OP, O, predictions + ((size_t)(first + b) * T + t) * O);
        }
        store(h, S, carried, n);
    }
}
}
