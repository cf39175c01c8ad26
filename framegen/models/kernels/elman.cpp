// A plain RNN with a linear head: many training steps of many networks in one call. See fused.py for the contract.
//
// The code is lane-parallel: one lane of a SIMD register is one clip. LANES clips at a time go through forward pass,
// loss and back-propagation through time together; the same source serves every register width and both precisions.
// More lanes than the machine's registers hold would be several times slower, fewer leave some of it idle.
//
// Compiled for one shape: I inputs, H hidden units, O outputs; RELU 0 or 1, REAL float or double, LANES 0 for as many as
// fill a register. A network's P parameters stand in PyTorch's own order: weight_ih (H, I), weight_hh (H, H), bias_ih (H),
// bias_hh (H), head weight (O, H), head bias (O).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

constexpr int L = LANES ? LANES : __BIGGEST_ALIGNMENT__ / sizeof(REAL);  // 64 bytes of AVX-512, 32 of AVX, else 16
typedef REAL vec __attribute__((vector_size(sizeof(REAL) * L)));
constexpr int W_HH = H * I, B_IH = W_HH + H * H, B_HH = B_IH + H, W_O = B_HH + H, B_O = W_O + O * H, P = B_O + O;

static inline vec pick(decltype(vec{} < vec{}) mask, vec a, vec b) { return mask ? a : b; }

static inline vec activation(vec x) {
    if (RELU) return pick(x < 0, vec{}, x);  // NaN stays NaN, here and below
    if (sizeof(REAL) == sizeof(double)) {  // which is for tests: exact, not fast
        for (int l = 0; l < L; l++) x[l] = std::tanh(x[l]);
        return x;
    }
    // Rational minimax approximation on [-7.9, 7.9], absolute error below 4e-7; tanhf would not vectorise.
    const vec bound = vec{} + (REAL)7.90531110763549805f;
    x = pick(x > bound, bound, pick(x < -bound, -bound, x));
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

static inline vec slope(vec h) { return RELU ? pick(h > 0, vec{} + (REAL)1, vec{}) : 1 - h * h; }  // of the activation, from its value

// One step of the recurrent layer: h from x and the last h, which may stand in the same place.
static inline void cell(const REAL* w, const vec* x, const vec* last, vec* h) {
    vec next[H];
    for (int j = 0; j < H; j++) {
        vec a = vec{} + (w[B_IH + j] + w[B_HH + j]);
        for (int i = 0; i < I; i++) a += w[j * I + i] * x[i];
        for (int k = 0; k < H; k++) a += w[W_HH + j * H + k] * last[k];
        next[j] = activation(a);
    }
    for (int j = 0; j < H; j++) h[j] = next[j];
}

static inline vec head(const REAL* w, const vec* h, int o) {
    vec y = vec{} + w[B_O + o];
    for (int j = 0; j < H; j++) y += w[W_O + o * H + j] * h[j];
    return y;
}

static inline REAL sum(vec v) { return std::accumulate((REAL*)&v, (REAL*)&v + L, (REAL)0); }

// Rows of `size` values, one a lane, to lanes side by side and back; row l stands at from + l * stride.
static inline void load(vec* to, const REAL* from, int n, size_t stride, int size) {
    for (int l = 0; l < n; l++)
        for (int k = 0; k < size; k++) to[k][l] = from[l * stride + k];
}
static inline void store(REAL* to, const vec* from, int n, size_t stride, int size) {
    for (int l = 0; l < n; l++)
        for (int k = 0; k < size; k++) to[l * stride + k] = from[k][l];
}

// Adds the gradient of scale / 2 * sum of squared errors to G, lane by lane; returns the squared errors of n lanes.
// x[t][i], y[t][o], h[t][j]; h[0] is the state that came in.
static vec backward(const REAL* w, const vec* x, const vec* y, const vec* h, int T, int n, REAL scale, vec* G) {
    vec used = {}, loss = {}, from_next[H] = {};
    for (int l = 0; l < n; l++) used[l] = 1;
    for (x += (size_t)T * I, y += (size_t)T * O, h += (size_t)T * H; T > 0; T--) {
        const vec* last = h - H;
        vec d[H];
        x -= I, y -= O;
        for (int j = 0; j < H; j++) d[j] = from_next[j], from_next[j] = vec{};
        for (int o = 0; o < O; o++) {  // the head runs here, so that only x, y and h are ever stored
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
        h = last;
    }
    return loss;
}

extern "C" {

// Loss of one batch and its gradient g (P); `state` (B, H) goes in and comes out, none is a state of 0.
void gradient(const REAL* inputs, const REAL* targets, const int64_t* index, int B, int T, const REAL* w, REAL* state, REAL* g,
              REAL* mean_loss) {
    thread_local std::vector<vec> G, x, y, h;
    G.assign(P, vec{}), x.resize((size_t)T * I), y.resize((size_t)T * O), h.resize((size_t)(T + 1) * H);
    vec loss = {};
    const REAL count = (REAL)B * T * O;
    for (int first = 0; first < B; first += L) {
        const int n = std::min(B - first, L);
        for (int l = 0; l < L; l++) {  // unused lanes hold a clip too, so that nothing overflows there that does not elsewhere
            const size_t clip = index[std::min(first + l, B - 1)] * (size_t)T;
            for (int k = 0; k < T * I; k++) x[k][l] = inputs[clip * I + k];
            for (int k = 0; k < T * O; k++) y[k][l] = targets[clip * O + k];
        }
        std::fill_n(h.begin(), H, vec{});
        if (state) load(h.data(), state + (size_t)first * H, n, H, H);
        for (int t = 0; t < T; t++) cell(w, &x[(size_t)t * I], &h[(size_t)t * H], &h[(size_t)(t + 1) * H]);
        if (state) store(state + (size_t)first * H, &h[(size_t)T * H], n, H, H);
        loss += backward(w, x.data(), y.data(), h.data(), T, n, 2 / count, G.data());
    }
    for (int p = 0; p < P; p++) g[p] = sum(G[p]);
    for (int j = 0; j < H; j++) g[B_HH + j] = g[B_IH + j];
    *mean_loss = sum(loss) / count;
}

// Adam (Kingma and Ba, 2015, algorithm 1) on each of K networks, after n0 steps: each takes its N clips, `index` (K, N),
// in batches of B, the last one smaller where N is no multiple. Losses and norms (K, steps), learning_rate (steps).
void train(const REAL* inputs, const REAL* targets, const int64_t* index, int K, int N, int B, int T, REAL* weights, REAL* means,
           REAL* variances, REAL* state, int64_t n0, const double* learning_rate, double max_norm, REAL* losses, REAL* norms,
           int threads) {
    const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    const int S = (N + B - 1) / B;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int k = 0; k < K; k++) {
        std::vector<REAL> g(P);
        REAL *w = weights + (size_t)k * P, *m = means + (size_t)k * P, *v = variances + (size_t)k * P;
        REAL* carried = state ? state + (size_t)k * B * H : nullptr;
        for (int s = 0; s < S; s++) {
            const int64_t* batch = index + (size_t)k * N + (size_t)s * B;
            REAL &loss = losses[(size_t)k * S + s], &norm = norms[(size_t)k * S + s];
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

// Predictions (B, T, O) of one network; `state` (B, H) goes in and comes out. Inputs (B, context, I): where they end
// before T, each prediction is the next input.
void predict(const REAL* inputs, int B, int context, int T, const REAL* w, REAL* state, REAL* predictions, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) if (B > 8 * L)
    for (int first = 0; first < B; first += L) {
        const int n = std::min(B - first, L);
        const REAL* in = inputs + (size_t)first * context * I;
        REAL *out = predictions + (size_t)first * T * O, *carried = state + (size_t)first * H;
        vec x[I] = {}, y[O] = {}, h[H] = {};
        load(h, carried, n, H, H);
        for (int t = 0; t < T; t++) {
            if (t < context) load(x, in + (size_t)t * I, n, (size_t)context * I, I);
            cell(w, x, h, h);
            for (int o = 0; o < O; o++) y[o] = head(w, h, o);
            store(out + (size_t)t * O, y, n, (size_t)T * O, O);
            for (int i = 0; i < std::min(I, O); i++) x[i] = y[i];
        }
        store(carried, h, n, H, H);
    }
}
}
