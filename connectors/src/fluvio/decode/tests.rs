//! Records to rows, format by format.
