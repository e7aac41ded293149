//! A network that cuts: forwards bytes both ways, and closes each connection after a number of bytes that a seed decides.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How connections end.
#[derive(Clone, Copy)]
pub struct Cuts {
    pub seed: u64,
    /// Bytes after which a connection is cut, on average; the least is 0 and the most twice as many.
    pub mean: usize,
}

/// A forwarding listener; its threads end with their connections.
pub struct Proxy {
    pub address: SocketAddr,
    cut: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Proxy {
    /// Forwards to `target`. With `rename` the port of a storage unit is replaced in what the controller says, so that
    /// clients reach it through another proxy.
    pub fn start(target: SocketAddr, cuts: Cuts, rename: Option<(u16, u16)>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy { address: listener.local_addr().unwrap(), cut: Arc::default(), stopped: Arc::default() };
        let (cut, stopped) = (proxy.cut.clone(), proxy.stopped.clone());
        thread::spawn(move || {
            let mut random = StdRng::seed_from_u64(cuts.seed);
            for client in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (client, Ok(server)) = (client.unwrap(), TcpStream::connect(target)) else { continue };
                // Acknowledgements are small: half of the connections are cut among them, so that a write is done and
                // not reported about as often as it is not done.
                let down_most = if random.random_bool(0.5) { cuts.mean / 100 } else { 2 * cuts.mean };
                let (up, down) = (random.random_range(0..=2 * cuts.mean), random.random_range(0..=down_most));
                let (to, back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (cut, cut_back) = (cut.clone(), cut.clone());
                thread::spawn(move || forward(client, to, up, None, &cut));
                thread::spawn(move || forward(server, back, down, rename, &cut_back));
            }
        });
        proxy
    }

    /// How many connections were cut.
    pub fn cut(&self) -> usize {
        self.cut.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Forwards `budget` bytes, then closes both sides.
fn forward(mut from: TcpStream, mut to: TcpStream, mut budget: usize, rename: Option<(u16, u16)>, cut: &AtomicUsize) {
    let _ = to.set_nodelay(true);
    let mut bytes = vec![0; 16 << 10];
    while budget > 0 {
        let wanted = bytes.len().min(budget);
        // Something renamed must come whole: a controller's reply is small, and sent at once.
        let read = match rename {
            None => from.read(&mut bytes[..wanted]),
            Some(_) => read_reply(&mut from, &mut bytes),
        };
        let Ok(read @ 1..) = read else { break };
        if let Some((old, new)) = rename {
            replace(&mut bytes[..read], old, new);
        }
        let sent = read.min(budget);
        if to.write_all(&bytes[..sent]).is_err() {
            break;
        }
        budget -= sent;
    }
    if budget == 0 {
        cut.fetch_add(1, Ordering::Relaxed);
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// A whole frame.
fn read_reply(from: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let size = 4 + u32::from_be_bytes(length) as usize;
    bytes.resize(bytes.len().max(size), 0);
    bytes[..4].copy_from_slice(&length);
    from.read_exact(&mut bytes[4..size])?;
    Ok(size)
}

/// An ingress: the port, and a list of one host.
fn replace(bytes: &mut [u8], old: u16, new: u16) {
    let pattern = [&old.to_be_bytes()[..], &1u32.to_be_bytes()].concat();
    for at in 0..bytes.len().saturating_sub(pattern.len()) {
        if bytes[at..].starts_with(&pattern) {
            bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
        }
    }
}
