// Recurrent layers with a linear head: many training steps of many networks in one call. See fused.py for the contract.
//
// Compiled for one shape: I inputs, D layers of H hidden units of one CELL, O outputs; REAL float or double, LANES 0 for as
// many as fill a register. A network's P parameters stand in PyTorch's own order: of each layer weight_ih, weight_hh, bias_ih
// and bias_hh, then the head's weight (O, H) and bias (O). The carried state is (B, D, STATES, H).
//
// Clips go through in groups of at most L. All sums are made in one order, whatever the batch, the group and the tiles: the
// gradient of each clip of a group by itself, from the last step to the first, then clip after clip.
#include <cstdint>
#include <vector>

#include "cells.hpp"

constexpr int SLOTS = CELL::SLOTS, X = CELL::X, FIRST = CELL::FIRST, R = CELL::R, STATES = CELL::STATES;
constexpr int SUMS = std::max(X, FIRST + R), A = SLOTS * HP, S = STATES * HP;  // a step's sums and states of a clip

// Where a layer's weights stand, once for the way forward, (slot, from, to), which is the gradient's layout too, and once for
// the way back, (slot, to, from).
constexpr int inputs_of(int l) { return l ? H : I; }
constexpr int wide(int n) { return (n + L - 1) / L * L; }
constexpr int of_h(int l) { return X * inputs_of(l) * HP; }
constexpr int bias(int l) { return of_h(l) + R * H * HP; }
constexpr int layer(int l) { return l ? layer(l - 1) + bias(l - 1) + SUMS * HP : 0; }
constexpr int HEAD = wide(layer(D)), HEAD_BIAS = HEAD + H * OP, FORWARD = wide(HEAD_BIAS + OP);
constexpr int back(int l) { return l * (X + R) * H * HP; }  // of the last state first, then of the layer below
constexpr int BACK_HEAD = back(D), BACK = wide(BACK_HEAD + O * HP);

struct alignas(sizeof(REAL) * L) Register { REAL at[L]; };
struct Buffer {
    std::vector<Register> registers;
    REAL* get(size_t size) { return registers.resize(std::max(registers.size(), (size + L - 1) / L)), registers[0].at; }
};

struct Place { int forward, back; };  // of a parameter; back is -1 where it isn't needed

static std::vector<Place> find_places() {
    std::vector<Place> places;
    for (int l = 0; l < D; l++) {
        const int in = inputs_of(l), w = layer(l), b = back(l);
        const auto slots = [&](const int* from, int count, auto put) {
            for (int gate = 0; gate < count; gate++) put(std::find(from, from + count, gate) - from);
        };
        slots(CELL::from_x, X, [&](int s) {
            for (int j = 0; j < H; j++)
                for (int i = 0; i < in; i++)
                    places.push_back({w + (s * in + i) * HP + j, l ? b + ((R + s) * H + j) * HP + i : -1});
        });
        slots(CELL::from_h, R, [&](int s) {
            for (int j = 0; j < H; j++)
                for (int k = 0; k < H; k++) places.push_back({w + of_h(l) + (s * H + k) * HP + j, b + (s * H + j) * HP + k});
        });
        const auto put_bias = [&](int s) {
            for (int j = 0; j < H; j++) places.push_back({w + bias(l) + s * HP + j, -1});
        };
        slots(CELL::from_x, X, put_bias);
        slots(CELL::from_h, R, [&](int s) { put_bias(FIRST + s); });
    }
    for (int o = 0; o < O; o++)
        for (int j = 0; j < H; j++) places.push_back({HEAD + j * OP + o, BACK_HEAD + o * HP + j});
    for (int o = 0; o < O; o++) places.push_back({HEAD_BIAS + o, -1});
    return places;
}
static const std::vector<Place> PLACES = find_places();
static const int P = PLACES.size();

static void pack(const REAL* w, REAL* forward, REAL* back) {
    std::fill_n(forward, FORWARD, (REAL)0);
    for (int p = 0; p < P; p++) forward[PLACES[p].forward] += w[p];  // two biases may meet in one place
    if (!back) return;
    std::fill_n(back, BACK, (REAL)0);
    for (int p = 0; p < P; p++)
        if (PLACES[p].back >= 0) back[PLACES[p].back] = w[p];
}

// One step of a layer with weights w, for n clips: sums and next state from the input x and the last state, in whose place the
// next may stand. Each pointer comes with the distance from one clip to the next.
template <int IN>
static inline void step(const REAL* w, int n, const REAL* x, ptrdiff_t x_row, const REAL* last, REAL* next, ptrdiff_t row, REAL* a, ptrdiff_t a_row) {
    const REAL *h = w + X * IN * HP, *bias = h + R * H * HP;
    for (int s = 0; s < SUMS; s++) {
        const bool of_x = X == SUMS || s < X, of_h = R == SUMS || (s >= FIRST && s < FIRST + R);
        const Term from_x{x, x_row, 1, 0, w + s * IN * HP, HP, 0, of_x ? IN : 0, 1};
        const Term from_h{last, row, 1, 0, h + (s - FIRST) * H * HP, HP, 0, of_h ? H : 0, 1};
        product<H>(n, a + s * HP, a_row, bias + s * HP, 0, from_x, from_h);
    }
    for (int b = 0; b < n; b++) CELL::forward((vec*)(a + b * a_row), (const vec*)(last + b * row), (vec*)(next + b * row));
}

// Predictions y of n clips from the last layer's h.
static inline void head(const REAL* w, int n, const REAL* h, ptrdiff_t h_row, REAL* y, ptrdiff_t y_row) {
    product<O>(n, y, y_row, w + HEAD_BIAS, 0, Term{h, h_row, 1, 0, w + HEAD, OP, 0, H, 1});
}

// The gradient of layer l's sums, in their place, from those of what stands above it: `e` of the head, or `above` of a layer.
template <bool TOP>
static void back_through_time(const REAL* w, int l, int n, int T, const REAL* e, const REAL* above, const REAL* h, REAL* a, REAL* d, REAL* carry) {
    std::fill_n(carry, n * HP, (REAL)0);
    for (int t = T - 1; t >= 0; t--) {
        REAL* now = a + (ptrdiff_t)t * A;
        const Term later{now + A + FIRST * HP, (ptrdiff_t)T * A, 1, HP, w + back(l), HP, H * HP, t + 1 < T ? H : 0, R};
        if (TOP)
            product<H>(n, d, HP, nullptr, 0, later, Term{e + (ptrdiff_t)t * OP, (ptrdiff_t)T * OP, 1, 0, w + BACK_HEAD, HP, 0, O, 1});
        else
            product<H>(n, d, HP, nullptr, 0, later,
                       Term{above + (ptrdiff_t)t * A, (ptrdiff_t)T * A, 1, HP, w + back(l + 1) + R * H * HP, HP, H * HP, H, X});
        for (int b = 0; b < n; b++) {
            const REAL* last = h + ((ptrdiff_t)b * (T + 1) + t) * S;
            CELL::backward((vec*)(now + (ptrdiff_t)b * T * A), (const vec*)last, (const vec*)(last + S), (const vec*)(d + b * HP), (vec*)(carry + b * HP));
        }
    }
}

// g (rows, N) += the sum over a clip's steps, from the last to the first, of from (rows) times to (N); or = that sum.
template <int N>
static inline void outer(bool more, REAL* g, int rows, int T, const REAL* from, ptrdiff_t from_step, const REAL* to, ptrdiff_t to_step) {
    constexpr int SIZE = Row<N>::SIZE;
    from += (T - 1) * from_step, to += (T - 1) * to_step;
    product<N>(rows, g, SIZE, more ? g : nullptr, SIZE, Term{from, 1, -from_step, 0, to, -to_step, 0, T, 1});
}

// The gradient of layer l's weights from one clip: x what the layer was fed, h its states, a the gradient of its sums.
template <int IN>
static void weight_gradient(bool more, int T, const REAL* x, ptrdiff_t x_step, const REAL* h, const REAL* a, REAL* g) {
    static const REAL one = 1;
    for (int s = 0; s < X; s++) outer<H>(more, g + s * IN * HP, IN, T, x, x_step, a + s * HP, A);
    g += X * IN * HP;
    for (int s = 0; s < R; s++) outer<H>(more, g + s * H * HP, H, T, h, S, a + (FIRST + s) * HP, A);
    g += R * H * HP;
    for (int s = 0; s < SUMS; s++) outer<H>(more, g + s * HP, 1, T, &one, 0, a + s * HP, A);
}

// What one thread works on.
struct Work {
    Buffer forward, back, x, e, h[D], a[D], d, carry, lanes, total;
};

extern "C" {

// Loss of a batch of B clips and its gradient g (P); `state` (B, D, STATES, H) goes in and comes out, none is a state of 0.
void gradient(const REAL* inputs, const REAL* targets, const int64_t* index, int B, int T, const REAL* weights, REAL* state, REAL* g,
              REAL* mean_loss) {
    thread_local Work work;
    const int most = std::min(B, L);
    REAL *w = work.forward.get(FORWARD), *w_back = work.back.get(BACK);
    REAL *x = work.x.get((size_t)most * T * I), *e = work.e.get((size_t)most * T * OP);
    REAL *d = work.d.get(most * HP), *carry = work.carry.get(most * HP), *G = work.lanes.get((size_t)most * FORWARD);
    REAL *h[D], *a[D], loss[L] = {};
    for (int l = 0; l < D; l++) h[l] = work.h[l].get((size_t)most * (T + 1) * S), a[l] = work.a[l].get((size_t)most * T * A);
    const ptrdiff_t h_row = (ptrdiff_t)(T + 1) * S, a_row = (ptrdiff_t)T * A;
    const REAL count = (REAL)B * T * O, scale = 2 / count;
    pack(weights, w, w_back);
    for (int first = 0; first < B; first += L) {
        const int n = std::min(B - first, L);
        REAL* carried = state ? state + (size_t)first * D * STATES * H : nullptr;
        const auto each_state = [&](int t, auto move) {
            for (int b = 0; b < n; b++)
                for (int l = 0; l < D; l++)
                    for (int s = 0; s < STATES; s++) move(h[l] + b * h_row + (ptrdiff_t)t * S + s * HP, carried + ((b * D + l) * STATES + s) * H);
        };
        each_state(0, [&](REAL* own, REAL* given) {
            std::fill_n(own, HP, (REAL)0);
            if (state) std::copy_n(given, H, own);
        });
        for (int b = 0; b < n; b++) std::copy_n(inputs + index[first + b] * (size_t)T * I, (size_t)T * I, x + (size_t)b * T * I);
        for (int l = 0; l < D; l++)
            for (ptrdiff_t t = 0; t < T; t++) {
                REAL* last = h[l] + t * S;
                if (l == 0)
                    step<I>(w, n, x + t * I, (ptrdiff_t)T * I, last, last + S, h_row, a[l] + t * A, a_row);
                else
                    step<H>(w + layer(l), n, h[l - 1] + (t + 1) * S, h_row, last, last + S, h_row, a[l] + t * A, a_row);
            }
        if (state) each_state(T, [&](REAL* own, REAL* given) { std::copy_n(own, H, given); });
        for (int b = 0; b < n; b++) head(w, T, h[D - 1] + b * h_row + S, S, e + (size_t)b * T * OP, OP);
        for (int t = T - 1; t >= 0; t--)
            for (int o = 0; o < O; o++)
                for (int b = 0; b < n; b++) {
                    REAL& each = e[((size_t)b * T + t) * OP + o];
                    each -= targets[(index[first + b] * (size_t)T + t) * O + o];
                    loss[b] += each * each;
                    each *= scale;
                }
        back_through_time<true>(w_back, D - 1, n, T, e, nullptr, h[D - 1], a[D - 1], d, carry);
        for (int l = D - 2; l >= 0; l--) back_through_time<false>(w_back, l, n, T, nullptr, a[l + 1], h[l], a[l], d, carry);
        for (int b = 0; b < n; b++) {
            REAL* own = G + (size_t)b * FORWARD;
            static const REAL one = 1;
            const REAL *errors = e + (size_t)b * T * OP, *top = h[D - 1] + b * h_row + S;
            weight_gradient<I>(first, T, x + (size_t)b * T * I, I, h[0] + b * h_row, a[0] + b * a_row, own);
            for (int l = 1; l < D; l++)
                weight_gradient<H>(first, T, h[l - 1] + b * h_row + S, S, h[l] + b * h_row, a[l] + b * a_row, own + layer(l));
            outer<O>(first, own + HEAD, H, T, top, S, errors, OP);
            outer<O>(first, own + HEAD_BIAS, 1, T, &one, 0, errors, OP);
        }
    }
    REAL* total = work.total.get(FORWARD);
    std::fill_n(total, FORWARD, (REAL)0);
    for (int b = 0; b < most; b++)
        for (int q = 0; q < FORWARD; q++) total[q] += G[(size_t)b * FORWARD + q];
    for (int p = 0; p < P; p++) g[p] = total[PLACES[p].forward];
    REAL sum = 0;
    for (int b = 0; b < L; b++) sum += loss[b];
    *mean_loss = sum / count;
}

// Adam (Kingma and Ba, 2015, algorithm 1) on each of K networks, after n0 steps: each takes its N clips, `index` (K, N),
// in batches of B, the last one smaller where N is no multiple. Losses and norms (K, steps), learning_rate (steps).
void train(const REAL* inputs, const REAL* targets, const int64_t* index, int K, int N, int B, int T, REAL* weights, REAL* means,
           REAL* variances, REAL* state, int64_t n0, const double* learning_rate, double max_norm, REAL* losses, REAL* norms,
           int threads) {
    const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    const int steps = (N + B - 1) / B;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int k = 0; k < K; k++) {
        std::vector<REAL> g(P);
        REAL *w = weights + (size_t)k * P, *m = means + (size_t)k * P, *v = variances + (size_t)k * P;
        REAL* carried = state ? state + (size_t)k * B * D * STATES * H : nullptr;
        for (int s = 0; s < steps; s++) {
            const int64_t* batch = index + (size_t)k * N + (size_t)s * B;
            REAL &loss = losses[(size_t)k * steps + s], &norm = norms[(size_t)k * steps + s];
            gradient(inputs, targets, batch, std::min(B, N - s * B), T, w, carried, g.data(), &loss);
            double squared = 0;
            for (int p = 0; p < P; p++) squared += (double)g[p] * g[p];
            norm = std::sqrt(squared);
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
    Buffer packed;
    REAL* w = packed.get(FORWARD);
    pack(weights, w, nullptr);
#pragma omp parallel for schedule(static) num_threads(threads) if (B > 8 * L)
    for (int first = 0; first < B; first += GROUP) {
        const int n = std::min(B - first, GROUP);
        alignas(Register) REAL h[D][GROUP][S] = {}, a[GROUP][A], y[GROUP][OP];
        REAL* carried = state + (size_t)first * D * STATES * H;
        const auto each_state = [&](auto move) {
            for (int b = 0; b < n; b++)
                for (int l = 0; l < D; l++)
                    for (int s = 0; s < STATES; s++) move(&h[l][b][s * HP], carried + ((b * D + l) * STATES + s) * H);
        };
        each_state([](REAL* own, REAL* given) { std::copy_n(given, H, own); });
        for (ptrdiff_t t = 0; t < T; t++) {
            const bool given = t < context;
            const REAL* x = given ? inputs + ((ptrdiff_t)first * context + t) * I : y[0];
            step<I>(w, n, x, given ? (ptrdiff_t)context * I : OP, h[0][0], h[0][0], S, a[0], A);
            for (int l = 1; l < D; l++) step<H>(w + layer(l), n, h[l - 1][0], S, h[l][0], h[l][0], S, a[0], A);
            head(w, n, h[D - 1][0], S, y[0], OP);
            for (int b = 0; b < n; b++) std::copy_n(y[b], O, predictions + ((size_t)(first + b) * T + t) * O);
        }
        each_state([](REAL* own, REAL* given) { std::copy_n(own, H, given); });
    }
}
}
