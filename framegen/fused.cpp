// A plain RNN with a linear head, trained in one call: many steps of many networks. See fused.py for the contract.
//
// The code is lane-parallel: one lane of a SIMD register is one clip. LANES clips at a time go through forward pass,
// loss and back-propagation through time together; the same source serves every register width and both precisions.
// More lanes than the machine's registers hold would be several times slower, fewer leave some of it idle.
//
// Compiled for one shape: I inputs, H hidden units, O outputs. A network's parameters stand in PyTorch's own order:
// weight_ih (H, I), weight_hh (H, H), bias_ih (H), bias_hh (H), head weight (O, H), head bias (O).
#include <cmath>
#include <cstdint>
#include <vector>

#ifndef LANES
#if defined(__AVX512F__)
#define LANES (64 / sizeof(REAL))
#elif defined(__AVX__)
#define LANES (32 / sizeof(REAL))
#else
#define LANES (16 / sizeof(REAL))
#endif
#endif

typedef REAL vec __attribute__((vector_size(sizeof(REAL) * LANES)));
constexpr int W_HH = H * I, B_IH = W_HH + H * H, B_HH = B_IH + H, W_O = B_HH + H, B_O = W_O + O * H, P = B_O + O;

static inline vec splat(REAL a) { return vec{} + a; }
static inline vec pick(decltype(vec{} < vec{}) mask, vec a, vec b) { return mask ? a : b; }

static inline vec activation(vec x) {
#ifdef RELU
    return pick(x > 0, x, vec{});
#elif defined(EXACT_TANH)
    for (int l = 0; l < (int)LANES; l++) x[l] = std::tanh(x[l]);
    return x;
#else
    // Rational minimax approximation on [-7.9, 7.9], absolute error below 4e-7; tanhf would not vectorise.
    const vec bound = splat(7.90531110763549805f);
    x = pick(x < bound, x, bound);
    x = pick(x > -bound, x, -bound);
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
#endif
}

static inline vec slope(vec h) {  // of the activation, from its value
#ifdef RELU
    return pick(h > 0, splat(1), vec{});
#else
    return 1 - h * h;
#endif
}

// One step of the recurrent layer: h from x and the last h.
static inline void cell(const REAL* w, const vec* x, const vec* last, vec* h) {
    vec next[H];
    for (int j = 0; j < H; j++) {
        vec a = splat(w[B_IH + j] + w[B_HH + j]);
        for (int i = 0; i < I; i++) a += w[j * I + i] * x[i];
        for (int k = 0; k < H; k++) a += w[W_HH + j * H + k] * last[k];
        next[j] = activation(a);
    }
    for (int j = 0; j < H; j++) h[j] = next[j];
}

static inline vec head(const REAL* w, const vec* h, int o) {
    vec y = splat(w[B_O + o]);
    for (int j = 0; j < H; j++) y += w[W_O + o * H + j] * h[j];
    return y;
}

static REAL sum(vec v) {
    REAL s = 0;
    for (int l = 0; l < (int)LANES; l++) s += v[l];
    return s;
}

// Up to LANES clips side by side: x[t][i], y[t][o], h[t][j], h[0] the state that comes in.
struct Block {
    std::vector<vec> x, y, h;
    explicit Block(int T) : x((size_t)T * I), y((size_t)T * O), h((size_t)(T + 1) * H) {}
};

static void gather(vec* to, const REAL* from, const int64_t* index, int n, int size) {
    for (int l = 0; l < n; l++) {
        const REAL* clip = from + index[l] * size;
        for (int k = 0; k < size; k++) to[k][l] = clip[k];
    }
}

// Adds the gradient of scale / 2 * sum of squared errors to G, lane by lane; returns the squared errors of n lanes.
static vec backward(const REAL* w, const Block& b, int T, int n, REAL scale, vec* G) {
    vec used = {}, loss = {}, from_next[H] = {};
    for (int l = 0; l < n; l++) used[l] = 1;
    for (int t = T - 1; t >= 0; t--) {  // the head runs here, so that only x, y and h are ever stored
        const vec *x = &b.x[(size_t)t * I], *y = &b.y[(size_t)t * O], *last = &b.h[(size_t)t * H], *h = last + H;
        vec d[H];
        for (int j = 0; j < H; j++) d[j] = from_next[j], from_next[j] = vec{};
        for (int o = 0; o < O; o++) {
            vec e = (head(w, h, o) - y[o]) * used;
            loss += e * e;
            e *= scale;
            for (int j = 0; j < H; j++) d[j] += w[W_O + o * H + j] * e, G[W_O + o * H + j] += e * h[j];
            G[B_O + o] += e;
        }
        for (int j = 0; j < H; j++) {
            const vec a = d[j] * slope(h[j]);
            for (int i = 0; i < I; i++) G[j * I + i] += a * x[i];
            for (int k = 0; k < H; k++) G[W_HH + j * H + k] += a * last[k], from_next[k] += w[W_HH + j * H + k] * a;
            G[B_IH + j] += a;
        }
    }
    return loss;
}

// Loss of one batch and its gradient g (P); `state` (B, H) goes in and, where given, comes out.
static REAL gradient(const REAL* inputs, const REAL* targets, const int64_t* index, int B, int T, const REAL* w, REAL* state, REAL* g) {
    thread_local std::vector<vec> G;
    G.assign(P, vec{});
    Block b(T);
    vec loss = {};
    const REAL count = (REAL)B * T * O;
    for (int b0 = 0; b0 < B; b0 += LANES) {
        const int n = B - b0 < (int)LANES ? B - b0 : (int)LANES;
        gather(b.x.data(), inputs, index + b0, n, T * I);
        gather(b.y.data(), targets, index + b0, n, T * O);
        for (int j = 0; j < H; j++) {
            b.h[j] = vec{};
            for (int l = 0; state && l < n; l++) b.h[j][l] = state[(b0 + l) * H + j];
        }
        for (int t = 0; t < T; t++) cell(w, &b.x[(size_t)t * I], &b.h[(size_t)t * H], &b.h[(size_t)(t + 1) * H]);
        for (int j = 0; state && j < H; j++)
            for (int l = 0; l < n; l++) state[(b0 + l) * H + j] = b.h[(size_t)T * H + j][l];
        loss += backward(w, b, T, n, 2 / count, G.data());
    }
    for (int p = 0; p < P; p++) g[p] = sum(G[p]);
    for (int j = 0; j < H; j++) g[B_HH + j] = g[B_IH + j];
    return sum(loss) / count;
}

extern "C" {

REAL loss_and_gradient(const REAL* inputs, const REAL* targets, const int64_t* index, int B, int T, const REAL* w, REAL* state, REAL* g) {
    return gradient(inputs, targets, index, B, T, w, state, g);
}

// S steps of Adam (Kingma and Ba, 2015, algorithm 1) on each of K networks, steps taken before: n0.
void train(const REAL* inputs, const REAL* targets, const int64_t* index, int K, int S, int B, int T, REAL* w, REAL* m, REAL* v,
           REAL* state, int64_t n0, const double* learning_rate, double max_norm, REAL* losses, REAL* norms) {
    const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
#pragma omp parallel for schedule(dynamic)
    for (int k = 0; k < K; k++) {
        REAL g[P], *wk = w + (size_t)k * P, *mk = m + (size_t)k * P, *vk = v + (size_t)k * P;
        for (int s = 0; s < S; s++) {
            const size_t ks = (size_t)k * S + s;
            losses[ks] = gradient(inputs, targets, index + ks * B, B, T, wk, state ? state + (size_t)k * B * H : nullptr, g);
            double squared = 0;
            for (int p = 0; p < P; p++) squared += (double)g[p] * g[p];
            norms[ks] = std::sqrt(squared);
            if (!std::isfinite(losses[ks]) || !std::isfinite(norms[ks])) break;  // the caller stops there, weights untouched
            const REAL clip = max_norm < norms[ks] ? max_norm / (norms[ks] + 1e-6) : 1;
            const double n = n0 + s + 1;
            const REAL rate = learning_rate[ks] / (1 - std::pow(beta1, n)), root = 1 / std::sqrt(1 - std::pow(beta2, n));
            for (int p = 0; p < P; p++) {
                const REAL gp = g[p] * clip;
                mk[p] += (gp - mk[p]) * (REAL)(1 - beta1);
                vk[p] = (REAL)beta2 * vk[p] + (REAL)(1 - beta2) * gp * gp;
                wk[p] -= rate * mk[p] / (std::sqrt(vk[p]) * root + (REAL)epsilon);
            }
        }
    }
}

// Predictions (B, T, O) of one network; `state` (B, H) goes in and comes out.
void predict(const REAL* inputs, int B, int T, const REAL* w, REAL* state, REAL* predictions) {
#pragma omp parallel for schedule(static) if (B > 8 * (int)LANES)
    for (int b0 = 0; b0 < B; b0 += LANES) {
        const int n = B - b0 < (int)LANES ? B - b0 : (int)LANES;
        vec x[I] = {}, h[H] = {};
        for (int j = 0; j < H; j++)
            for (int l = 0; l < n; l++) h[j][l] = state[(size_t)(b0 + l) * H + j];
        for (int t = 0; t < T; t++) {
            for (int l = 0; l < n; l++)
                for (int i = 0; i < I; i++) x[i][l] = inputs[((size_t)(b0 + l) * T + t) * I + i];
            cell(w, x, h, h);
            for (int o = 0; o < O; o++) {
                const vec y = head(w, h, o);
                for (int l = 0; l < n; l++) predictions[((size_t)(b0 + l) * T + t) * O + o] = y[l];
            }
        }
        for (int j = 0; j < H; j++)
            for (int l = 0; l < n; l++) state[(size_t)(b0 + l) * H + j] = h[j][l];
    }
}
}
