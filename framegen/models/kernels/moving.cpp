// A memory with a copy for each velocity, over a whole sequence, and its gradient. See nets/moving_memory.py for what is
// computed, and moving.py for the contract. V copies of C contents and one trust; frames of H x W places; float32.
//
// A step of PyTorch moves some thirty arrays of the memory's size through the machine's memory. Here each clip's memory stays
// in the cache, and is gone through four times a step.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

struct Task {
    int64_t batch, steps, copies, contents, height, width, wraps;
    const int64_t* ways;     // (V, 2), pixels down and to the right
    const float* constants;  // keep, turn, share, then the precision of each content
    int64_t places() const { return height * width; }
    int64_t parts() const { return contents + 1; }
    int64_t memory() const { return copies * parts() * places(); }
};

constexpr float EPSILON = 1e-6f;

// The rows of a picture that is moved by (down, right): from each row's piece where it comes from to where it goes.
template <typename F> static void move(const Task& task, int64_t v, F piece) {
    const int64_t h = task.height, w = task.width;
    int64_t down = task.ways[2 * v], right = task.ways[2 * v + 1];
    if (task.wraps) {
        down = ((down % h) + h) % h, right = ((right % w) + w) % w;
        for (int64_t y = 0; y < h; y++) {
            const int64_t to = (y + down) % h * w;
            piece(y * w, to + right, w - right);
            if (right) piece(y * w + w - right, to, right);
        }
        return;
    }
    const int64_t wide = w - std::abs(right);
    for (int64_t y = std::max<int64_t>(0, -down); wide > 0 && y < std::min(h, h - down); y++)
        piece(y * w + std::max<int64_t>(0, -right), (y + down) * w + std::max<int64_t>(0, right), wide);
}

// What a frame does to a clip's memory `held` (V, C + 1, P) in place, and to its belief (V,); `together` (C + 1, P) is what
// all copies hold under the new belief. Of the belief `odds` keeps what it was before a velocity may be drawn anew.
static void observe(const Task& task, const float* features, const float* visible, float* held, float* belief, float* odds,
                    float* together) {
    const int64_t V = task.copies, C = task.contents, P = task.places();
    const float keep = task.constants[0], turn = task.constants[1], *precision = task.constants + 3;
    std::vector<float> before(P), gain(P), weight(P);
    for (int64_t v = 0; v < V; v++) {
        float *m = held + v * (C + 1) * P, *trust = m + C * P;
        for (int64_t p = 0; p < P; p++) {
            before[p] = keep * trust[p];
            gain[p] = visible[p] / (before[p] + visible[p] + EPSILON);
            weight[p] = before[p] * gain[p];
            trust[p] = before[p] + visible[p];
        }
        double surprise = 0;
        for (int64_t c = 0; c < C; c++) {
            const float* e = features + c * P;
            float* held_c = m + c * P;
            float sum = 0;
            for (int64_t p = 0; p < P; p++) {
                const float off = e[p] - held_c[p];
                sum += weight[p] * off * off;
                held_c[p] += gain[p] * off;
            }
            surprise += double(precision[c]) * sum;
        }
        odds[v] = belief[v] - float(surprise / 2);
    }
    const float most = *std::max_element(odds, odds + V);
    double sum = 0;
    for (int64_t v = 0; v < V; v++) sum += std::exp(double(odds[v] - most));
    const float whole = most + float(std::log(sum));
    std::fill(together, together + (C + 1) * P, 0.f);
    for (int64_t v = 0; v < V; v++) {
        odds[v] -= whole;
        belief[v] = std::log((1 - turn) * std::exp(odds[v]) + turn / V);
        const float b = std::exp(belief[v]), *m = held + v * (C + 1) * P;
        for (int64_t i = 0; i < (C + 1) * P; i++) together[i] += b * m[i];
    }
}

extern "C" void unroll(const Task* given, const float* features, const float* visible, float* memory, float* belief,
                       float* expected, float* memories, float* beliefs, int64_t threads) {
    const Task& task = *given;
    const int64_t V = task.copies, C = task.contents, P = task.places(), M = task.memory(), T = task.steps;
    const float share = task.constants[2];
#pragma omp parallel for num_threads(int(threads))
    for (int64_t n = 0; n < task.batch; n++) {
        std::vector<float> held(M), together((C + 1) * P), odds(V);
        float *m = memory + n * M, *b = belief + n * V;
        for (int64_t t = 0; t < T; t++) {
            if (memories) std::copy(m, m + M, memories + (n * T + t) * M), std::copy(b, b + V, beliefs + (n * T + t) * V);
            std::copy(m, m + M, held.data());
            observe(task, features + (n * T + t) * C * P, visible + (n * T + t) * P, held.data(), b, odds.data(),
                    together.data());
            float* wanted = expected + (n * T + t) * (C + 1) * P;
            std::fill(wanted, wanted + (C + 1) * P, 0.f);
            if (!task.wraps) std::fill(m, m + M, 0.f);
            for (int64_t v = 0; v < V; v++) {
                const float part = std::exp(b[v]);
                for (int64_t c = 0; c < C + 1; c++) {
                    const float *from = held.data() + (v * (C + 1) + c) * P, *all = together.data() + c * P;
                    float *to = m + (v * (C + 1) + c) * P, *sum = wanted + c * P;
                    move(task, v, [&](int64_t i, int64_t j, int64_t count) {
                        for (int64_t k = 0; k < count; k++) {
                            const float value = from[i + k] + share * (all[i + k] - from[i + k]);
                            to[j + k] = value;
                            sum[j + k] += part * value;
                        }
                    });
                }
            }
        }
    }
}

// The gradient of a loss whose gradient by what was expected is `wanted`; `memories` and `beliefs` as `unroll` left them. By
// features, visibility, the first memory and belief, and the constants of each clip (B, 3 + C).
extern "C" void gradient(const Task* given, const float* features, const float* visible, const float* memories,
                         const float* beliefs, const float* wanted, float* by_features, float* by_visible, float* by_memory,
                         float* by_belief, float* by_constants, int64_t threads) {
    const Task& task = *given;
    const int64_t V = task.copies, C = task.contents, P = task.places(), M = task.memory(), T = task.steps, R = (C + 1) * P;
    const float keep = task.constants[0], turn = task.constants[1], share = task.constants[2];
    const float* precision = task.constants + 3;
#pragma omp parallel for num_threads(int(threads))
    for (int64_t n = 0; n < task.batch; n++) {
        std::vector<float> held(M), together(R), odds(V), belief(V), back(M), of_together(R), by_part(V), by_odds(V);
        std::vector<float> before(P), inverse(P), by_gain(P), surprise(P);
        float *by_m = by_memory + n * M, *by_b = by_belief + n * V, *by_c = by_constants + n * (3 + C);
        std::vector<double> sums(3 + C);
        for (int64_t t = T; t-- > 0;) {
            const float *e = features + (n * T + t) * C * P, *a = visible + (n * T + t) * P, *m0 = memories + (n * T + t) * M;
            const float* by_wanted = wanted + (n * T + t) * R;
            float *by_e = by_features + (n * T + t) * C * P, *by_a = by_visible + (n * T + t) * P;
            std::copy(m0, m0 + M, held.data());
            std::copy(beliefs + (n * T + t) * V, beliefs + (n * T + t + 1) * V, belief.data());
            observe(task, e, a, held.data(), belief.data(), odds.data(), together.data());
            std::fill(of_together.begin(), of_together.end(), 0.f);
            std::fill(back.begin(), back.end(), 0.f);
            for (int64_t v = 0; v < V; v++) {  // back through what was expected, and through the move
                const float part = std::exp(belief[v]);
                double of_part = 0, of_share = 0;
                for (int64_t c = 0; c < C + 1; c++) {
                    const float *from = held.data() + v * R + c * P, *all = together.data() + c * P;
                    const float *by_moved = by_m + v * R + c * P, *by_sum = by_wanted + c * P;
                    float *to = back.data() + v * R + c * P, *pool = of_together.data() + c * P;
                    float one = 0, other = 0;
                    move(task, v, [&](int64_t i, int64_t j, int64_t count) {
                        for (int64_t k = 0; k < count; k++) {
                            const float apart = all[i + k] - from[i + k];
                            const float by = by_moved[j + k] + part * by_sum[j + k];
                            one += by_sum[j + k] * (from[i + k] + share * apart);
                            other += by * apart;
                            to[i + k] = (1 - share) * by;
                            pool[i + k] += share * by;
                        }
                    });
                    of_part += one, of_share += other;
                }
                by_part[v] = float(of_part), sums[2] += of_share;
            }
            double whole = 0;
            for (int64_t v = 0; v < V; v++) {
                const float part = std::exp(belief[v]), *m = held.data() + v * R;
                float* to = back.data() + v * R;
                float by = 0;
                for (int64_t i = 0; i < R; i++) by += of_together[i] * m[i], to[i] += part * of_together[i];
                const float by_belief_v = by_b[v] + part * (by_part[v] + by), chance = std::exp(odds[v]);
                sums[1] += double(by_belief_v) * (1.f / V - chance) / part;
                by_odds[v] = by_belief_v * (1 - turn) * chance / part;
                whole += by_odds[v];
            }
            std::fill(by_e, by_e + C * P, 0.f);
            std::fill(by_a, by_a + P, 0.f);
            for (int64_t v = 0; v < V; v++) {
                const float by = by_odds[v] - std::exp(odds[v]) * float(whole), *m = m0 + v * R, *trust = m + C * P;
                const float *by_held = back.data() + v * R, *by_trust = by_held + C * P;
                float* to = by_m + v * R;
                by_b[v] = by;
                for (int64_t p = 0; p < P; p++) {
                    before[p] = keep * trust[p], inverse[p] = 1 / (before[p] + a[p] + EPSILON);
                    by_gain[p] = 0, surprise[p] = 0;
                }
                for (int64_t c = 0; c < C; c++) {
                    const float *now = e + c * P, *was = m + c * P, *by_now = by_held + c * P, sure = precision[c];
                    float *to_c = to + c * P, *to_e = by_e + c * P, sum = 0;
                    for (int64_t p = 0; p < P; p++) {
                        const float off = now[p] - was[p], gain = a[p] * inverse[p], weight = before[p] * gain;
                        const float pull = by * weight * sure * off;
                        to_c[p] = by_now[p] * (1 - gain) + pull;
                        to_e[p] += by_now[p] * gain - pull;
                        by_gain[p] += by_now[p] * off;
                        surprise[p] += sure * off * off;
                        sum += weight * off * off;
                    }
                    sums[3 + c] -= double(by) * sum / 2;
                }
                float sum = 0;
                for (int64_t p = 0; p < P; p++) {
                    const float gain = a[p] * inverse[p], half = -by * surprise[p] / 2;
                    const float of_gain = by_gain[p] + half * before[p];
                    const float of_before = by_trust[p] + half * gain - of_gain * gain * inverse[p];
                    by_a[p] += by_trust[p] + of_gain * (before[p] + EPSILON) * inverse[p] * inverse[p];
                    to[C * P + p] = keep * of_before;
                    sum += of_before * trust[p];
                }
                sums[0] += sum;
            }
        }
        std::copy(sums.begin(), sums.end(), by_c);
    }
}
