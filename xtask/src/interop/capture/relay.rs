//! A TCP relay that remembers what passed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The sender of a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Client,
    Server,
}

/// The bytes of one connection, in their order.
#[derive(Clone, Default)]
pub(super) struct Conversation {
    pub(super) pieces: Vec<(From, Vec<u8>)>,
    open: usize,
}

type Record = Arc<Mutex<Vec<Conversation>>>;

/// Accepts connections and passes them on until the process ends.
pub(super) struct Relay {
    port: u16,
    record: Record,
}

impl Relay {
    /// A relay to `target` on this machine.
    pub(super) fn start(target: u16) -> Result<Self, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
        let port = listener.local_addr().map_err(|e| e.to_string())?.port();
        let record = Record::default();
        let shared = Arc::clone(&record);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) {
                    connect(&client, &server, &shared);
                }
            }
        });
        Ok(Self { port, record })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// All that passed, once every connection has ended.
    pub(super) fn record(&self) -> Vec<Conversation> {
        let deadline = Instant::now() + Duration::from_secs(5);
        while lock(&self.record).iter().any(|talk| talk.open > 0) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        lock(&self.record).clone()
    }
}

fn connect(client: &TcpStream, server: &TcpStream, record: &Record) {
    let index = {
        let mut record = lock(record);
        record.push(Conversation {
            pieces: Vec::new(),
            open: 2,
        });
        record.len() - 1
    };
    for (from, input, output) in [
        (From::Client, client, server),
        (From::Server, server, client),
    ] {
        let (Ok(mut input), Ok(mut output)) = (input.try_clone(), output.try_clone()) else {
            continue;
        };
        let record = Arc::clone(record);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 15];
            while let Ok(size @ 1..) = input.read(&mut buffer) {
                lock(&record)[index]
                    .pieces
                    .push((from, buffer[..size].to_vec()));
                if output.write_all(&buffer[..size]).is_err() {
                    break;
                }
            }
            // The other side may be gone already.
            let _ = output.shutdown(Shutdown::Write);
            lock(&record)[index].open -= 1;
        });
    }
}

fn lock(record: &Record) -> MutexGuard<'_, Vec<Conversation>> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}
