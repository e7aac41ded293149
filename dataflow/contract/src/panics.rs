//! Panics: those of code over a row's data are values, all others end the process.
//!
//! A library may panic on a value that nobody thought of, and one record must not end a job. [`caught`] runs such code and
//! gives its panic as a text. Every other panic is a bug of ours that leaves threads waiting for one another: a program calls
//! [`end_the_process`] once at its start, so that it ends as if it were killed, which loses nothing. That takes a build with
//! `panic = "unwind"`.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

thread_local! {
    /// How many calls of [`caught`] this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

static SILENT: Once = Once::new();

/// What `run` returns, or the text of its panic, which nothing prints. What `run` changed before it panicked stays changed:
/// it must own it, or leave it fit for use.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    SILENT.call_once(|| hook(|info, before| before(info)));
    DEPTH.set(DEPTH.get() + 1);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    DEPTH.set(DEPTH.get() - 1);
    outcome.map_err(|panic| text(&*panic))
}

/// From now on a panic outside of [`caught`] is printed and ends the process, whichever thread it happens on.
pub fn end_the_process() {
    hook(|info, before| {
        before(info);
        std::process::abort();
    });
}

/// Installs `outside` for panics that nobody catches; it gets the hook that was there before.
fn hook(outside: impl Fn(&PanicHookInfo<'_>, &dyn Fn(&PanicHookInfo<'_>)) + Send + Sync + 'static) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if DEPTH.get() == 0 {
            outside(info, &*before);
        }
    }));
}

/// What a panic says.
pub fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_text_and_the_next_call_works() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| -> u32 { panic!("row {}", 3) }), Err("row 3".to_string()));
        assert_eq!(caught(|| -> u32 { panic!("plain") }), Err("plain".to_string()));
        assert_eq!(caught(|| caught(|| -> u32 { panic!("inner") })), Ok(Err("inner".to_string())));
        assert_eq!(DEPTH.get(), 0);
    }
}
