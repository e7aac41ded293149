//! Watching the folders of a [`FileSet`](super::FileSet): a file that grows, comes or is replaced wakes the engine at
//! once, instead of at its next look.
//!
//! A path that names a file watches the file's folder, because files are also replaced by renaming; a folder is watched
//! with everything below it, and so is the folder that a glob begins with, because a glob may match folders. A link to a
//! folder is followed.
//!
//! **An event is a hint, never a promise.** What changed is found by [`FileSet::discover`](super::FileSet::discover), so a
//! wake too many costs one look. Some changes are never told: those on network file systems, behind links to files, and of
//! a file that is written in the moment between the making of its folder and the watch on it. For their sake there is a
//! wake every [`LOOK`] whatever happens.
//!
//! Reading a file is no event: else the engine's own reading would wake it for ever.
//!
//! Where watching is impossible (a system without it, more folders than the system's limit of watches) a warning says so
//! and the engine falls back to looking.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catchment_contract::Wake;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecursiveMode, Watcher};

use super::find::root;

/// The longest time without a wake.
const LOOK: Duration = Duration::from_secs(5);

/// Calls `wake` for every change below what `path` (a file, a folder, a glob) names, and every [`LOOK`], until the answer
/// is dropped; after that it is not called any more. `None` where watching is impossible.
pub(super) fn watch(path: &str, wake: Wake) -> Option<Box<dyn Send>> {
    let folder = root(path);
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    let mode = if Path::new(path).is_file() { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };
    let waker = Arc::new(Waker { wake: Mutex::new(Some(wake)), dropped: Condvar::new() });
    let notified = waker.clone();
    let made = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if let Err(error) = &event {
            tracing::warn!(%error, "watching a folder missed something");
        }
        if event.as_ref().map_or(true, may_be_new) {
            notified.notify();
        }
    });
    let watched = made.and_then(|mut watcher| watcher.watch(folder, mode).map(|()| watcher));
    let watched = watched.and_then(|watcher| Ok((watcher, waker.look()?)));
    match watched {
        Ok((watcher, ())) => Some(Box::new(Watch { waker, _watcher: watcher })),
        Err(error) => {
            tracing::warn!(path, %error, "cannot watch for changes; looking from time to time instead");
            None
        }
    }
}

/// Who is to be woken, until nobody is.
struct Waker {
    wake: Mutex<Option<Wake>>,
    dropped: Condvar,
}

impl Waker {
    fn wake(&self) -> MutexGuard<'_, Option<Wake>> {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        if let Some(wake) = &*self.wake() {
            wake();
        }
    }

    /// Starts a thread that wakes every [`LOOK`].
    fn look(self: &Arc<Self>) -> io::Result<()> {
        let waker = self.clone();
        let made = std::thread::Builder::new().name("watch-files".to_owned());
        made.spawn(move || {
            let mut wake = waker.wake();
            while let Some(call) = wake.clone() {
                let wait = waker.dropped.wait_timeout_while(wake, LOOK, |wake| wake.is_some());
                wake = wait.unwrap_or_else(PoisonError::into_inner).0;
                if wake.is_some() {
                    call();
                }
            }
        })?;
        Ok(())
    }
}

/// Keeps a watch alive.
struct Watch {
    waker: Arc<Waker>,
    _watcher: notify::RecommendedWatcher,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The watcher's thread ends some time after it is told to; its last events must reach nobody.
        self.waker.wake().take();
        self.waker.dropped.notify_all();
    }
}

/// Whether there may be something new to read: anything but reading, removing, and closing what was read.
fn may_be_new(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Remove(_) => event.need_rescan(),
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Other => true,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::mpsc::{Receiver, RecvError, channel};
    use std::time::Duration;

    use notify::event::{CreateKind, Flag, ModifyKind, RemoveKind};

    use super::*;

    /// Longer than any machine takes: a test that waits so long has failed.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// How long a change is given to wake before the next one is made.
    const RETRY: Duration = Duration::from_millis(200);

    fn watched(path: &Path) -> (Option<Box<dyn Send>>, Receiver<()>) {
        let (sender, receiver) = channel();
        let wake: Wake = Arc::new(move || {
            let _ = sender.send(());
        });
        (watch(path.to_str().unwrap(), wake), receiver)
    }

    /// Makes changes, each another one, until one wakes: the watch on a new folder comes a moment after the folder.
    fn wakes_at_last(wakes: &Receiver<()>, mut change: impl FnMut(usize), what: &str) {
        while wakes.try_recv().is_ok() {}
        let tries = DEADLINE.as_millis() / RETRY.as_millis();
        let woke = (0..tries as usize).any(|n| {
            change(n);
            wakes.recv_timeout(RETRY).is_ok()
        });
        assert!(woke, "{what} wakes");
    }

    fn append(path: &Path) {
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"2\n").unwrap();
    }

    #[test]
    fn growing_renaming_and_new_files_in_new_folders_wake() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("old"), "1\n").unwrap();
        let (guard, wakes) = watched(path);
        assert!(guard.is_some(), "a temporary folder can be watched");
        append(&path.join("old"));
        wakes.recv_timeout(DEADLINE).expect("a file that grows wakes");
        let name = |n| path.join(format!("name{n}"));
        fs::rename(path.join("old"), name(0)).unwrap();
        wakes_at_last(&wakes, |n| fs::rename(name(n), name(n + 1)).unwrap(), "a file with a new name");
        fs::create_dir(path.join("sub")).unwrap();
        wakes_at_last(&wakes, |n| fs::write(path.join(format!("sub/{n}")), "3\n").unwrap(), "a file in a new folder");
        drop(guard);
        append(&path.join("sub/0"));
        while wakes.recv_timeout(DEADLINE).is_ok() {}
        assert_eq!(wakes.recv(), Err(RecvError), "who is woken is forgotten with the guard");
    }

    #[test]
    fn a_file_is_watched_through_its_folder_and_a_glob_through_the_one_it_begins_with() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("a.json"), folder.path().join("new"));
        fs::write(&file, "1\n").unwrap();
        let (_guard, wakes) = watched(&file);
        let replace = |_| {
            fs::write(&other, "1\n2\n").unwrap();
            fs::rename(&other, &file).unwrap();
        };
        wakes_at_last(&wakes, replace, "a file that is replaced");

        fs::create_dir(folder.path().join("x")).unwrap();
        let (_guard, wakes) = watched(&folder.path().join("*/b*.json"));
        let add = |n| fs::write(folder.path().join(format!("x/b{n}.json")), "1\n").unwrap();
        wakes_at_last(&wakes, add, "a file that the glob matches");
    }

    #[test]
    fn reading_and_removing_are_nothing_new() {
        let check = |kind: EventKind, expect: bool| assert_eq!(may_be_new(&Event::new(kind)), expect, "{kind:?}");
        check(EventKind::Access(AccessKind::Open(AccessMode::Any)), false);
        check(EventKind::Access(AccessKind::Read), false);
        check(EventKind::Access(AccessKind::Close(AccessMode::Read)), false);
        check(EventKind::Access(AccessKind::Close(AccessMode::Write)), true);
        check(EventKind::Remove(RemoveKind::File), false);
        check(EventKind::Create(CreateKind::File), true);
        check(EventKind::Modify(ModifyKind::Any), true);
        assert!(may_be_new(&Event::new(EventKind::Other).set_flag(Flag::Rescan)), "the system lost events");
    }

    #[test]
    fn what_no_event_tells_is_looked_for_now_and_then() {
        let folder = tempfile::tempdir().unwrap();
        let (_guard, wakes) = watched(folder.path());
        wakes.recv_timeout(DEADLINE).expect("a wake although nothing happens");
    }

    #[test]
    fn what_cannot_be_watched_is_looked_at_instead() {
        let (guard, _) = watched(Path::new("/there/is/no/such/folder/*.json"));
        assert!(guard.is_none());
    }
}
