//! `--status`: the live page of a command.

use std::{io, net::SocketAddr, sync::mpsc, thread};

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
    console::note(format_args!("live page at http://{address}/"));
    Ok(())
}
