//! Functions of numbers.

use super::{Function, scalars};

/// By name.
#[rustfmt::skip]
pub(super) const FUNCTIONS: &[Function] = scalars! {
    "abs", "number → number", "without its sign", "it does not fit";
    "acos", "float → float", "the arc cosine", may;
    "acosh", "float → float", "the inverse hyperbolic cosine", may;
    "asin", "float → float", "the arc sine", may;
    "asinh", "float → float", "the inverse hyperbolic sine", may;
    "atan", "float → float", "the arc tangent", may;
    "atan2", "float, float → float", "the arc tangent of y / x", may;
    "atanh", "float → float", "the inverse hyperbolic tangent", may;
    "cbrt", "float → float", "the cube root", may;
    "ceil", "number → number", "the next whole number up", may;
    "cos", "float → float", "the cosine", may;
    "cosh", "float → float", "the hyperbolic cosine", may;
    "cot", "float → float", "the cotangent", may;
    "degrees", "float → float", "radians as degrees", may;
    "exp", "float → float", "e to the power of it", may;
    "factorial", "int → int", "1 · 2 · … · n", "it does not fit";
    "floor", "number → number", "the next whole number down", may;
    "gcd", "int, int → int", "the greatest common divisor", "it does not fit";
    "isnan", "float → bool", "whether it is NaN", may;
    "iszero", "number → bool", "whether it is 0", may;
    "lcm", "int, int → int", "the least common multiple", "it does not fit";
    "ln", "float → float", "the natural logarithm", may;
    "log", "[base, ]float → float", "the logarithm to a base, 10 if none is given", may;
    "log10", "float → float", "the logarithm to base 10", may;
    "log2", "float → float", "the logarithm to base 2", may;
    "nanvl", "float, float → float", "the first, the second where it is NaN", may;
    "pi", "→ float", "π", may;
    "power pow", "number, number → number", "the first to the power of the second", "it does not fit";
    "radians", "float → float", "degrees as radians", may;
    "round", "number[, digits] → number", "rounded to so many digits behind the point, 0 if none are given", may;
    "signum", "number → number", "-1, 0 or 1", may;
    "sin", "float → float", "the sine", may;
    "sinh", "float → float", "the hyperbolic sine", may;
    "sqrt", "float → float", "the square root", may;
    "tan", "float → float", "the tangent", may;
    "tanh", "float → float", "the hyperbolic tangent", may;
    "trunc", "number[, digits] → number", "cut after so many digits behind the point, 0 if none are given", may;
};
