//! Functions of numbers.

use super::{Function, scalars};

/// By name.
#[rustfmt::skip]
pub(super) const FUNCTIONS: &[Function] = scalars! {
    "abs", "number → number", "without its sign", "it does not fit";
    "acos", "float → float", "the arc cosine", never;
    "acosh", "float → float", "the inverse hyperbolic cosine", never;
    "asin", "float → float", "the arc sine", never;
    "asinh", "float → float", "the inverse hyperbolic sine", never;
    "atan", "float → float", "the arc tangent", never;
    "atan2", "float, float → float", "the arc tangent of y / x", never;
    "atanh", "float → float", "the inverse hyperbolic tangent", never;
    "cbrt", "float → float", "the cube root", never;
    "ceil", "number → number", "the next whole number up", "a decimal does not fit";
    "cos", "float → float", "the cosine", never;
    "cosh", "float → float", "the hyperbolic cosine", never;
    "cot", "float → float", "the cotangent", never;
    "degrees", "float → float", "radians as degrees", never;
    "exp", "float → float", "e to the power of it", never;
    "factorial", "int → int", "1 · 2 · … · n", "n is negative, or it does not fit";
    "floor", "number → number", "the next whole number down", "a decimal does not fit";
    "gcd", "int, int → int", "the greatest common divisor", "it does not fit";
    "isnan", "float → bool", "whether it is NaN", never;
    "iszero", "number → bool", "whether it is 0", never;
    "lcm", "int, int → int", "the least common multiple", "it does not fit";
    "ln", "float → float", "the natural logarithm", "it is not above 0";
    "log", "[base, ]float → float", "the logarithm to a base, 10 if none is given", "it or the base is not above 0";
    "log10", "float → float", "the logarithm to base 10", "it is not above 0";
    "log2", "float → float", "the logarithm to base 2", "it is not above 0";
    "nanvl", "float, float → float", "the first, the second where it is NaN", never;
    "pi", "→ float", "π", never;
    "power pow", "number, number → number", "the first to the power of the second", "it does not fit, or is 0 to a negative power";
    "radians", "float → float", "degrees as radians", never;
    "round", "number[, digits] → number", "rounded to so many digits behind the point, 0 if none are given", "a decimal or the number of digits does not fit";
    "signum", "number → number", "-1, 0 or 1", never;
    "sin", "float → float", "the sine", never;
    "sinh", "float → float", "the hyperbolic sine", never;
    "sqrt", "float → float", "the square root", "it is negative";
    "tan", "float → float", "the tangent", never;
    "tanh", "float → float", "the hyperbolic tangent", never;
    "trunc", "number[, digits] → number", "cut after so many digits behind the point, 0 if none are given", "a decimal or the number of digits does not fit";
};
