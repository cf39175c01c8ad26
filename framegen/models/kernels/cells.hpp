// The recurrent cells: what becomes of one clip's sums in a step, and of their gradient on the way back.
//
// A cell's `a` holds SLOTS rows of HV registers: the sums that come in, in whose place `forward` leaves what `backward`
// needs, which leaves the gradient of the sums there. The first X of them take in the layer below, the R from FIRST on the
// last state. from_x and from_h say which of PyTorch's gates stands there. `last` and `next` are the state: h, and c of the
// LSTM after it. `d` is the gradient of h; `carry` what reaches the last state's by no matrix: of h, or of the LSTM's c.
#pragma once
#include "vectors.hpp"

template <bool RELU, int MEMORY = 1> struct Plain {  // Elman, 1990
    static constexpr int SLOTS = 1, X = 1, FIRST = 0, R = MEMORY, STATES = 1, from_x[] = {0}, from_h[] = {0};
    static void forward(vec* a, const vec*, vec* next) {
        for (int v = 0; v < HV; v++) next[v] = RELU ? pick(a[v] < 0, vec{}, a[v]) : tanh(a[v]);
    }
    static void backward(vec* a, const vec*, const vec* next, const vec* d, vec*) {
        for (int v = 0; v < HV; v++) {
            const vec h = next[v];
            a[v] = d[v] * (RELU ? pick(h > 0, vec{} + (REAL)1, vec{}) : 1 - h * h);
        }
    }
};
typedef Plain<false> Tanh;
typedef Plain<true> Relu;
typedef Plain<false, 0> Memoryless;

struct Gru {  // Cho et al., 2014, as cuDNN and PyTorch have it; slots: n of x, r, z, n of h
    static constexpr int SLOTS = 4, X = 3, FIRST = 1, R = 3, STATES = 1, from_x[] = {2, 0, 1}, from_h[] = {0, 1, 2};
    static void forward(vec* a, const vec* last, vec* next) {
        for (int v = 0; v < HV; v++) {
            vec &n = a[v], &r = a[HV + v], &z = a[2 * HV + v];
            r = sigmoid(r), z = sigmoid(z), n = tanh(n + r * a[3 * HV + v]);
            next[v] = n + z * (last[v] - n);
        }
    }
    static void backward(vec* a, const vec* last, const vec*, const vec* d, vec* carry) {
        for (int v = 0; v < HV; v++) {
            const vec n = a[v], r = a[HV + v], z = a[2 * HV + v], of_h = a[3 * HV + v], all = d[v] + carry[v];
            a[v] = all * (1 - z) * (1 - n * n);
            a[HV + v] = a[v] * of_h * r * (1 - r);
            a[2 * HV + v] = all * (last[v] - n) * z * (1 - z);
            a[3 * HV + v] = a[v] * r;
            carry[v] = all * z;
        }
    }
};

struct Lstm {  // Hochreiter and Schmidhuber, 1997, with forget gates; slots: i, f, g, o, and tanh(c)
    static constexpr int SLOTS = 5, X = 4, FIRST = 0, R = 4, STATES = 2, from_x[] = {0, 1, 2, 3}, from_h[] = {0, 1, 2, 3};
    static void forward(vec* a, const vec* last, vec* next) {
        for (int v = 0; v < HV; v++) {
            vec &i = a[v], &f = a[HV + v], &g = a[2 * HV + v], &o = a[3 * HV + v], &squashed = a[4 * HV + v];
            i = sigmoid(i), f = sigmoid(f), g = tanh(g), o = sigmoid(o);
            const vec c = f * last[HV + v] + i * g;
            squashed = tanh(c);
            next[v] = o * squashed, next[HV + v] = c;
        }
    }
    static void backward(vec* a, const vec* last, const vec*, const vec* d, vec* carry) {
        for (int v = 0; v < HV; v++) {
            const vec i = a[v], f = a[HV + v], g = a[2 * HV + v], o = a[3 * HV + v], squashed = a[4 * HV + v];
            const vec c = d[v] * o * (1 - squashed * squashed) + carry[v];
            a[v] = c * g * i * (1 - i);
            a[HV + v] = c * last[HV + v] * f * (1 - f);
            a[2 * HV + v] = c * i * (1 - g * g);
            a[3 * HV + v] = d[v] * squashed * o * (1 - o);
            carry[v] = c * f;
        }
    }
};

struct Mingru {  // Feng et al., 2024; slots: z, the candidate
    static constexpr int SLOTS = 2, X = 2, FIRST = 2, R = 0, STATES = 1, from_x[] = {0, 1}, from_h[] = {0};
    static void forward(vec* a, const vec* last, vec* next) {
        for (int v = 0; v < HV; v++) {
            a[v] = sigmoid(a[v]);
            next[v] = last[v] + a[v] * (a[HV + v] - last[v]);
        }
    }
    static void backward(vec* a, const vec* last, const vec*, const vec* d, vec* carry) {
        for (int v = 0; v < HV; v++) {
            const vec z = a[v], all = d[v] + carry[v];
            a[v] = all * (a[HV + v] - last[v]) * z * (1 - z);
            a[HV + v] = all * z;
            carry[v] = all * (1 - z);
        }
    }
};
