//! Which numbers an epoch touched.

/// A set of numbers that were touched in an epoch, in the order of the first touch.
#[derive(Default)]
pub(crate) struct Touched {
    order: Vec<u32>,
    is_in: Vec<bool>,
}

impl Touched {
    /// Adds `id`; whether it is new.
    #[inline]
    pub(crate) fn insert(&mut self, id: u32) -> bool {
        let index = id as usize;
        if index >= self.is_in.len() {
            self.is_in.resize((index + 1).next_power_of_two(), false);
        }
        let is_new = !std::mem::replace(&mut self.is_in[index], true);
        if is_new {
            self.order.push(id);
        }
        is_new
    }

    /// The members, of which none is left.
    pub(crate) fn drain(&mut self) -> std::vec::IntoIter<u32> {
        let order = std::mem::take(&mut self.order);
        order.iter().for_each(|id| self.is_in[*id as usize] = false);
        order.into_iter()
    }
}
