// The loss of a density head: what a mixture of K Gaussians over a frame's F values says of the frame that came. See
// mixture.py, and density.py for the order of the head's outputs: F predictions, then F rows of offsets and F of deviations
// of K numbers each, one of every component, and a row of weights.
#pragma once
#include <algorithm>
#include <cmath>

constexpr REAL LEVEL = (REAL)(1.0 / 255), SMALLEST = LEVEL / 2;
constexpr double HALF_LOG_2PI = 0.91893853320467274178;

static inline REAL softplus(REAL x) { return x > 20 ? x : std::log1p(std::exp(x)); }

// The logarithm of a value's probability, and its derivatives by the Gaussian's mean and deviation.
struct Said { REAL log, by_mean, by_deviation; };

// Of a value below or above an end, `distance` deviations away from the mean to the outside: all that is cut off there.
static Said cut_off(double distance, REAL deviation, REAL side) {
    // Where erfc is hardly a number any more, its asymptotic series is exact.
    const double square = distance * distance, q = 1 / square, density = -square / 2 - HALF_LOG_2PI;
    const double log = distance > -37 ? std::log(std::erfc(-distance * M_SQRT1_2) / 2)
                                      : density - std::log(-distance) + std::log1p(q * (q * (3 - 15 * q) - 1));
    const double slope = std::exp(density - log);
    return {(REAL)log, (REAL)(side * slope / deviation), (REAL)(-distance * slope / deviation)};
}

static inline Said say(REAL value, REAL mean, REAL deviation) {
    if (value <= 0) return cut_off((LEVEL / 2 - mean) / deviation, deviation, -1);
    if (value >= 1) return cut_off((mean - 1 + LEVEL / 2) / deviation, deviation, 1);
    const REAL z = (value - mean) / deviation;
    return {(REAL)(std::log((double)LEVEL) - HALF_LOG_2PI) - std::log(deviation) - z * z / 2, z / deviation, (z * z - 1) / deviation};
}

template <int K> static REAL log_sum(const REAL* x) {
    const REAL most = *std::max_element(x, x + K);
    REAL sum = 0;
    for (int k = 0; k < K; k++) sum += std::exp(x[k] - most);
    return most + std::log(sum);
}

// -ln of a frame's probability; and in place of the outputs y its gradient times scale.
template <int F, int K> static REAL surprise(REAL* y, const REAL* frame, REAL scale) {
    REAL *offset = y + F, *raw = offset + F * K, *weight = raw + F * K;
    REAL each[K], by_mean[F * K], by_raw[F * K];
    std::copy_n(weight, K, each);
    for (int p = 0; p < F; p++)
        for (int k = 0, i = p * K; k < K; k++, i++) {
            const Said said = say(frame[p], y[p] + offset[i], SMALLEST + softplus(raw[i]));
            each[k] += said.log;
            by_mean[i] = said.by_mean, by_raw[i] = said.by_deviation / (1 + std::exp(-raw[i]));
        }
    const REAL all = log_sum<K>(each), weights = log_sum<K>(weight);
    REAL share[K];  // of each component in what is said of the frame, times -scale
    for (int k = 0; k < K; k++) {
        share[k] = -scale * std::exp(each[k] - all);
        weight[k] = share[k] + scale * std::exp(weight[k] - weights);
    }
    for (int p = 0; p < F; p++) {
        y[p] = 0;
        for (int k = 0, i = p * K; k < K; k++, i++) {
            y[p] += offset[i] = share[k] * by_mean[i];
            raw[i] = share[k] * by_raw[i];
        }
    }
    return weights - all;
}
