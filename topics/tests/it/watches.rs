//! What is left of connections that are gone. A file of its own: it counts the process's sockets.

use std::fs;
use std::time::{Duration, Instant};

use catchment_topics::EmbeddedOptions;
use tempfile::TempDir;

use crate::alone;
use crate::wire::{Wire, controller_requests, storage_of};

fn sockets() -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    // The listing's own descriptor is gone by the time it is looked at.
    open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

/// Lost before: a socket and two tasks for each client that came and went, until topics changed.
#[test]
fn watches_end_with_their_connection() {
    alone("watches::watches_end_with_their_connection", || {
        let folder = TempDir::new().unwrap();
        let options = EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() };
        let broker = crate::start(options);
        let controller = broker.controller();
        storage_of(controller);
        let before = sockets();
        // Of topics, of partitions, of storage units.
        let watches = &controller_requests("any")[9..12];
        for _ in 0..200 {
            let mut wire = Wire::connect(controller).unwrap();
            for watch in watches {
                wire.send(watch).unwrap();
                wire.receive().unwrap();
            }
        }
        let start = Instant::now();
        while sockets() > before + 8 {
            assert!(start.elapsed() < Duration::from_secs(30), "{} sockets, {before} before", sockets());
            // A round trip, in which the broker's thread gets on.
            storage_of(controller);
        }
    });
}
