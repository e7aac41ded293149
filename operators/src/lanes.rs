//! Columns of integer accumulators that are as wide as they must be.
//!
//! A lane starts narrow and widens as a whole when a value leaves its range, so that a count costs four bytes and a sum
//! still never wraps: 2⁶³ rows of 64-bit integers fit 128 bits.

/// One accumulator a slot; see the module's documentation.
#[derive(Clone, Debug)]
pub(crate) enum Lane {
    I32(Vec<i32>),
    I64(Vec<i64>),
    I128(Vec<i128>),
}

impl Default for Lane {
    fn default() -> Self {
        Lane::I32(Vec::new())
    }
}

impl Lane {
    /// A lane of the same width that holds the value of each old slot in the slot that `moves` names beside it.
    pub(crate) fn moved(&self, moves: &[(u32, u32)], len: usize) -> Lane {
        fn go<T: Copy + Default>(old: &[T], moves: &[(u32, u32)], len: usize) -> Vec<T> {
            let mut new = vec![T::default(); len];
            moves.iter().for_each(|(from, to)| new[*to as usize] = old[*from as usize]);
            new
        }
        match self {
            Lane::I32(values) => Lane::I32(go(values, moves, len)),
            Lane::I64(values) => Lane::I64(go(values, moves, len)),
            Lane::I128(values) => Lane::I128(go(values, moves, len)),
        }
    }

    /// Copies the value of slot `from` to slot `to`.
    pub(crate) fn copy(&mut self, from: usize, to: usize) {
        match self {
            Lane::I32(values) => values[to] = values[from],
            Lane::I64(values) => values[to] = values[from],
            Lane::I128(values) => values[to] = values[from],
        }
    }

    /// Grows or shrinks to `len` slots; new ones hold 0.
    pub(crate) fn resize(&mut self, len: usize) {
        match self {
            Lane::I32(values) => values.resize(len, 0),
            Lane::I64(values) => values.resize(len, 0),
            Lane::I128(values) => values.resize(len, 0),
        }
    }

    /// Bytes of a slot.
    pub(crate) fn slot_bytes(&self) -> usize {
        match self {
            Lane::I32(_) => size_of::<i32>(),
            Lane::I64(_) => size_of::<i64>(),
            Lane::I128(_) => size_of::<i128>(),
        }
    }

    /// The value in `slot`.
    #[inline]
    pub(crate) fn at(&self, slot: usize) -> i128 {
        match self {
            Lane::I32(values) => values[slot].into(),
            Lane::I64(values) => values[slot].into(),
            Lane::I128(values) => values[slot],
        }
    }

    /// Sets `slot` to `value`.
    #[inline]
    pub(crate) fn set(&mut self, slot: usize, value: i128) {
        loop {
            match self {
                Lane::I32(values) => {
                    if let Ok(value) = value.try_into() {
                        values[slot] = value;
                        return;
                    }
                }
                Lane::I64(values) => {
                    if let Ok(value) = value.try_into() {
                        values[slot] = value;
                        return;
                    }
                }
                Lane::I128(values) => {
                    values[slot] = value;
                    return;
                }
            }
            self.widen();
        }
    }

    /// Adds `delta` to `slot`.
    #[inline]
    pub(crate) fn add(&mut self, slot: usize, delta: i128) {
        if let Lane::I128(values) = self {
            values[slot] += delta;
        } else {
            self.set(slot, self.at(slot) + delta);
        }
    }

    /// Adds a difference that is nearly always small: the path of counts.
    #[inline]
    pub(crate) fn add_diff(&mut self, slot: usize, diff: i64) {
        if let Lane::I32(values) = self
            && let Ok(diff) = i32::try_from(diff)
            && let Some(sum) = values[slot].checked_add(diff)
        {
            values[slot] = sum;
            return;
        }
        self.add(slot, diff.into());
    }

    #[cold]
    fn widen(&mut self) {
        *self = match std::mem::take(self) {
            Lane::I32(values) => Lane::I64(values.into_iter().map(i64::from).collect()),
            Lane::I64(values) => Lane::I128(values.into_iter().map(i128::from).collect()),
            widest => widest,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_widens_and_never_wraps() {
        let mut lane = Lane::default();
        lane.resize(2);
        lane.add_diff(0, i64::from(i32::MAX));
        lane.add_diff(1, -7);
        assert!(matches!(lane, Lane::I32(_)));
        lane.add_diff(0, 1);
        assert!(matches!(lane, Lane::I64(_)));
        lane.add(0, i64::MAX.into());
        assert!(matches!(lane, Lane::I128(_)));
        assert_eq!(lane.at(0), i128::from(i64::MAX) + (1 << 31));
        assert_eq!(lane.at(1), -7);
        lane.add(0, -i128::from(i64::MAX));
        assert_eq!(lane.at(0), 1 << 31);
    }
}
