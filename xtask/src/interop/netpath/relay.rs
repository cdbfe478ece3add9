//! A path in this process: a TCP relay that delays every byte, and passes no
//! more than the rate. For machines without `netem`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Bytes of one piece: at 200 Mbit/s, about as long as the clock is exact.
const PIECE: usize = 16 * 1024;

/// The address at which clients reach `target` over the long path.
pub(super) fn start(target: u16, delay: Duration, bytes_a_second: f64) -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // One that cannot be served sees its connection closed.
            let _ = serve(&client, target, delay, bytes_a_second);
        }
    });
    Ok(port)
}

fn serve(client: &TcpStream, target: u16, delay: Duration, rate: f64) -> std::io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
    for (from, to) in [(client, &server), (&server, client)] {
        to.set_nodelay(true)?;
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        // As much as it takes: what is on its way is bounded by rate × delay,
        // and by what the reader is ahead of the rate.
        let (enter, leave) = channel();
        std::thread::spawn(move || read(from, &enter, delay, rate));
        std::thread::spawn(move || write(to, &leave));
    }
    Ok(())
}

/// Takes bytes no faster than the rate, so that the sender feels it.
fn read(mut from: TcpStream, enter: &Sender<(Instant, Vec<u8>)>, delay: Duration, rate: f64) {
    let mut free = Instant::now();
    loop {
        let mut piece = vec![0; PIECE];
        let Ok(length @ 1..) = from.read(&mut piece) else {
            return;
        };
        piece.truncate(length);
        free = free.max(Instant::now()) + Duration::from_secs_f64(length as f64 / rate);
        if enter.send((free + delay, piece)).is_err() {
            return;
        }
        std::thread::sleep(free.saturating_duration_since(Instant::now()));
    }
}

fn write(mut to: TcpStream, leave: &Receiver<(Instant, Vec<u8>)>) {
    for (due, piece) in leave {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            return;
        }
    }
    // The sender has ended, and so does this direction.
    let _ = to.shutdown(Shutdown::Write);
}
