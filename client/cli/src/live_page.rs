//! `--status`: the live page of a command.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::mpsc,
    thread,
};

use lacewing_server::live::{Board, Page};

use crate::console;

/// Serves a board until the program ends, and says where.
///
/// The page has a thread of its own: whatever holds up the command does not hold up the page.
///
/// # Errors
///
/// The address cannot be bound.
pub(crate) fn serve(address: SocketAddr, board: &Board) -> Result<(), String> {
    let board = board.clone();
    let (send, bound) = mpsc::channel();
    let run = move || {
        // Nobody waits any more if the program ends at once.
        let tell = |bound: Result<SocketAddr, String>| drop(send.send(bound));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return tell(Err(error.to_string())),
        };
        runtime.block_on(async {
            match Page::bind(address, board).await {
                Ok(page) => {
                    tell(Ok(page.local_addr()));
                    page.serve().await;
                }
                Err(error) => tell(Err(error.to_string())),
            }
        });
    };
    let thread = thread::Builder::new().name("live page".to_owned());
    let started = thread
        .spawn(run)
        .map_err(|error: io::Error| error.to_string());
    let bound = started.and_then(|_| bound.recv().map_err(|error| error.to_string())?);
    let address = bound.map_err(|error| format!("--status {address}: {error}"))?;
    console::note(format_args!("live page at {}", place(address)));
    Ok(())
}

/// The URL of a page, and who can read it.
fn place(address: SocketAddr) -> String {
    let reachable = match address.ip() {
        ip if !ip.is_unspecified() => address,
        IpAddr::V4(_) => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(_) => (Ipv6Addr::LOCALHOST, address.port()).into(),
    };
    let readers = match address.ip().is_loopback() {
        true => "",
        false => "  (without a password, for everybody who reaches this machine)",
    };
    format!("http://{reachable}/{readers}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_everybody_is_said_to_be_one() {
        for (address, url, is_for_all) in [
            ("127.0.0.1:9", "http://127.0.0.1:9/", false),
            ("[::1]:9", "http://[::1]:9/", false),
            ("0.0.0.0:9", "http://127.0.0.1:9/", true),
            ("[::]:9", "http://[::1]:9/", true),
            ("192.0.2.1:9", "http://192.0.2.1:9/", true),
        ] {
            let place = place(address.parse().unwrap());
            assert!(place.starts_with(url), "{place}");
            assert_eq!(place.contains("without a password"), is_for_all, "{place}");
        }
    }
}
