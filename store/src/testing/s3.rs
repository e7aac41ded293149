//! A small S3 server on loopback: what object stores and the lake ask of one, in memory.
//!
//! PUT (with `If-None-Match: *`, checked and done under one lock), GET (with a range), HEAD, DELETE, bulk delete, and
//! list of version 2. One thread a connection, HTTP/1.1 with keep-alive and bodies of known length. No signatures are
//! checked, and there is no multipart upload: nothing that the lake writes needs one. It can be told to misbehave
//! ([`Trouble`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

type Objects = BTreeMap<String, Vec<u8>>;

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It does not.
    None,
    /// It is away: connections are refused.
    Away,
    /// Connections are reset once a request has come, which is not done.
    Reset,
    /// Requests are done, and connections reset in the place of an answer.
    Mute,
    /// Answers are 503, nothing is done.
    Busy,
    /// Reads get half of their bytes, then the connection ends; everything else works.
    Cut,
    /// Every request waits until the trouble is over, and is answered then.
    Silent,
    /// Every request waits for so long before it is done, and its answer comes in eight parts with as long between them.
    Slow(Duration),
}

/// Parts that a slow answer comes in.
const SLOW_PARTS: usize = 8;

#[derive(Default)]
struct Shared {
    objects: Mutex<Objects>,
    trouble: Mutex<Option<Trouble>>,
    over: Condvar,
    requests: AtomicU64,
}

impl Shared {
    fn trouble(&self) -> Trouble {
        self.trouble.lock().unwrap().unwrap_or(Trouble::None)
    }

    /// Waits while the server is silent.
    fn await_speech(&self) {
        let silent = |trouble: &mut Option<Trouble>| *trouble == Some(Trouble::Silent);
        drop(self.over.wait_while(self.trouble.lock().unwrap(), silent).unwrap());
    }

    /// Takes its time while the server is slow.
    fn dawdle(&self) {
        if let Trouble::Slow(pause) = self.trouble() {
            let slow = |trouble: &mut Option<Trouble>| *trouble == Some(Trouble::Slow(pause));
            drop(self.over.wait_timeout_while(self.trouble.lock().unwrap(), pause, slow).unwrap());
        }
    }

    /// Sends an answer, in parts while the server is slow.
    fn send(&self, out: &mut TcpStream, answer: &[u8]) -> std::io::Result<()> {
        let parts = if matches!(self.trouble(), Trouble::Slow(_)) { SLOW_PARTS } else { 1 };
        answer.chunks(answer.len().div_ceil(parts)).enumerate().try_for_each(|(nth, part)| {
            if nth > 0 {
                self.dawdle();
            }
            out.write_all(part)
        })
    }
}

/// A server that runs until the process ends.
pub struct S3Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

struct Request {
    method: String,
    /// Path without the bucket's slash, decoded: `bucket/key`.
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Reply {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl S3Server {
    /// Starts a server on a free port of loopback.
    pub fn start() -> S3Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::<Shared>::default());
        let listening = Mutex::new(Some(listen(listener, shared.clone())));
        S3Server { address, shared, listening }
    }

    /// Begins or ends trouble.
    pub fn set(&self, trouble: Trouble) {
        *self.shared.trouble.lock().unwrap() = Some(trouble);
        self.shared.over.notify_all();
        let mut listening = self.listening.lock().unwrap();
        if trouble == Trouble::Away {
            // The thread that listens looks up, and leaves.
            let _ = TcpStream::connect(self.address);
            listening.take().into_iter().for_each(|thread| thread.join().unwrap());
        } else if listening.is_none() {
            *listening = Some(listen(TcpListener::bind(self.address).unwrap(), self.shared.clone()));
        }
    }

    /// How many requests came.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// The lake's URL at `path` (`bucket/prefix`), with all that is needed to reach it.
    pub fn lake(&self, path: &str) -> String {
        let settings = "region=eu-central-1&access_key_id=test&secret_access_key=testtest";
        format!("s3://{path}?endpoint={}&{settings}", self.endpoint())
    }

    /// Where it listens, as `AWS_ENDPOINT_URL` says it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs the test `name` of this binary in a process that finds this server in its environment, as a user gives it.
    pub fn run_test(&self, name: &str) {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("CATCHMENT_TEST_S3", "1")
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "testtest")
            .status()
            .unwrap();
        assert!(status.success(), "{name}");
    }

    /// Keys of all objects, `bucket/key`.
    pub fn keys(&self) -> Vec<String> {
        self.shared.objects.lock().unwrap().keys().cloned().collect()
    }
}

fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if shared.trouble() == Trouble::Away {
                return;
            }
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || serve(stream, &shared));
        }
    })
}

fn serve(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let Ok(mut out) = stream.try_clone() else { return };
    let mut input = BufReader::new(stream);
    while let Some(request) = read_request(&mut input) {
        shared.requests.fetch_add(1, Ordering::Relaxed);
        shared.await_speech();
        shared.dawdle();
        let reply = match shared.trouble() {
            // A connection that is dropped with bytes unread or unsent is reset.
            Trouble::Away | Trouble::Reset => return,
            Trouble::Busy => error("503 Service Unavailable", "SlowDown"),
            Trouble::Mute => {
                answer(&request, &mut shared.objects.lock().unwrap());
                return;
            }
            _ => answer(&request, &mut shared.objects.lock().unwrap()),
        };
        let is_head = request.method == "HEAD";
        let mut head = format!("HTTP/1.1 {}\r\n", reply.status);
        for (name, value) in &reply.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !is_head {
            let _ = write!(head, "Content-Length: {}\r\n", reply.body.len());
        }
        head.push_str("\r\n");
        let is_cut = shared.trouble() == Trouble::Cut && request.method == "GET" && reply.body.len() > 1;
        let body = match () {
            () if is_head => &[],
            () if is_cut => &reply.body[..reply.body.len() / 2],
            () => reply.body.as_slice(),
        };
        if shared.send(&mut out, &[head.as_bytes(), body].concat()).is_err() || is_cut {
            return;
        }
    }
}

fn read_request(input: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(Ok(0), |length| length.parse()).ok()?;
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = query.map(|(name, value)| (decode(name), decode(value))).collect();
    Some(Request { method, path: decode(path.trim_start_matches('/')), query, headers, body })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap_or("00"), 16).unwrap_or(0)
            }
            other => other,
        };
        bytes.push(decoded);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn reply(status: &'static str, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, headers: Vec::new(), body: body.into() }
}

fn error(status: &'static str, code: &str) -> Reply {
    reply(status, format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"))
}

const MODIFIED: &str = "Sat, 31 Jan 2026 00:00:00 GMT";

fn tagged(mut made: Reply, bytes: &[u8]) -> Reply {
    let sum = bytes.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    made.headers.push(("ETag", format!("\"{sum:016x}\"")));
    made.headers.push(("Last-Modified", MODIFIED.into()));
    made
}

fn answer(request: &Request, objects: &mut Objects) -> Reply {
    let is_bucket = !request.path.trim_end_matches('/').contains('/');
    match request.method.as_str() {
        "GET" if is_bucket => reply("200 OK", list(request, objects)),
        "POST" if request.query.contains_key("delete") => {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let bucket = request.path.trim_end_matches('/');
            let mut body = String::from("<DeleteResult>");
            for key in text.split("<Key>").skip(1).filter_map(|part| part.split("</Key>").next()) {
                objects.remove(&format!("{bucket}/{}", unescape(key)));
                let _ = write!(body, "<Deleted><Key>{key}</Key></Deleted>");
            }
            reply("200 OK", body + "</DeleteResult>")
        }
        "PUT" => {
            if request.headers.contains_key("if-none-match") && objects.contains_key(&request.path) {
                return error("412 Precondition Failed", "PreconditionFailed");
            }
            let made = tagged(reply("200 OK", ""), &request.body);
            objects.insert(request.path.clone(), request.body.clone());
            made
        }
        "DELETE" => {
            objects.remove(&request.path);
            reply("204 No Content", "")
        }
        "GET" | "HEAD" => match objects.get(&request.path) {
            None => error("404 Not Found", "NoSuchKey"),
            Some(bytes) => read(request, bytes),
        },
        _ => error("400 Bad Request", "NotImplemented"),
    }
}

fn read(request: &Request, bytes: &[u8]) -> Reply {
    let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
    let Some((from, to)) = range.and_then(|range| range.split_once('-')) else {
        let mut made = tagged(reply("200 OK", bytes), bytes);
        if request.method == "HEAD" {
            made.headers.push(("Content-Length", bytes.len().to_string()));
        }
        return made;
    };
    let last = bytes.len().saturating_sub(1);
    let (from, to) = match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(from), to) => (from, to.unwrap_or(last).min(last)),
        (Err(_), Ok(suffix)) => (bytes.len().saturating_sub(suffix), last),
        (Err(_), Err(_)) => (0, last),
    };
    if from > to || bytes.is_empty() {
        return error("416 Range Not Satisfiable", "InvalidRange");
    }
    let mut made = tagged(reply("206 Partial Content", &bytes[from..=to]), bytes);
    made.headers.push(("Content-Range", format!("bytes {from}-{to}/{}", bytes.len())));
    made
}

fn list(request: &Request, objects: &BTreeMap<String, Vec<u8>>) -> String {
    let asked = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
    let (bucket, prefix) = (request.path.trim_end_matches('/'), asked("prefix"));
    let (mut body, mut folders) = (String::from("<ListBucketResult><IsTruncated>false</IsTruncated>"), Vec::new());
    for (path, bytes) in objects {
        let Some(key) = path.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('/')) else { continue };
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        if key <= asked("start-after") {
            continue;
        }
        match rest.split_once('/') {
            Some((folder, _)) if asked("delimiter") == "/" => {
                let folder = format!("{prefix}{folder}/");
                if folders.last() != Some(&folder) {
                    folders.push(folder);
                }
            }
            _ => {
                let _ = write!(
                    body,
                    "<Contents><Key>{}</Key><LastModified>2026-01-31T00:00:00.000Z</LastModified><Size>{}</Size></Contents>",
                    escape(key),
                    bytes.len()
                );
            }
        }
    }
    for folder in folders {
        let _ = write!(body, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escape(&folder));
    }
    body + "</ListBucketResult>"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&amp;", "&")
}
