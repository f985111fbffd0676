//! out = activation(gate) * up.
//!
//! silu(x) = x / (1 + e^-x); gelu_tanh(x) = x / (1 + e^(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3),
//! which is 0.5 x (1 + tanh u).
use crate::lanes::F32x4;
use crate::math::exp::Exp;

/// Activation functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// SiLU (swish).
    Silu,
    /// GELU by its tanh form.
    GeluTanh,
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;

/// `gate_up` f32[n_tokens, 2 size] (gate, then up) to `out` f32[n_tokens, size].
pub fn gate(out: &mut [f32], gate_up: &[f32], size: usize, activation: Activation) {
    let exp = Exp::new();
    for (out, gate_up) in out.chunks_exact_mut(size).zip(gate_up.chunks_exact(2 * size)) {
        let (gate, up) = gate_up.split_at(size);
        let whole = size - size % 4;
        for i in (0..whole).step_by(4) {
            activate(&exp, F32x4::load(gate, i), activation).mul(F32x4::load(up, i)).store(out, i);
        }
        for i in whole..size {
            let x = activate(&exp, F32x4::splat(gate[i]), activation);
            out[i] = x.lanes()[0] * up[i];
        }
    }
}

#[inline(always)]
fn activate(exp: &Exp, x: F32x4, activation: Activation) -> F32x4 {
    let exponent = match activation {
        Activation::Silu => F32x4::splat(0.0).sub(x),
        Activation::GeluTanh => {
            let cubic = x.mul(x).mul(x).mul_add(F32x4::splat(0.044_715), x);
            cubic.mul(F32x4::splat(-2.0 * SQRT_2_OVER_PI))
        }
    };
    let exponent = exponent.min(F32x4::splat(88.0)).max(F32x4::splat(-87.0));
    x.div(F32x4::splat(1.0).add(exp.of(exponent)))
}
